"""Strip gate, an attention module for attnbench.

The table is all that attnbench reads to list the module. Keep torch out of this file:
the class is imported when somebody builds it.
"""

MODULES: dict[str, dict[str, object]] = {
    "strip_gate": {
        "target": "strip_gate.module:StripGate",
        "title": "Strip gate",
        "family": "mixed",
        "year": None,
        "paper": None,
    },
}
