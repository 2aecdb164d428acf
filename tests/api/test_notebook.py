"""The notebook in examples/ has the outputs of its cells; ``tox -e examples`` executes it."""

import json
from pathlib import Path

NOTEBOOK = Path(__file__).parents[2] / "examples" / "attention_modules.ipynb"


def test_saved_outputs_are_whole():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"execute_result", "stream"}
    forms = {form for output in outputs for form in output.get("data", {})}
    assert forms == {"text/plain", "text/html", "image/png"}
