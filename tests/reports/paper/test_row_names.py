"""Names of rows in a paper."""

import pytest

from attnbench.reports.paper.row_names import abbreviation, backbone_name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Squeeze-and-excitation (SE)", "SE"),
        ("Effective squeeze-and-excitation (eSE)", "eSE"),
        ("Context anchor attention (CAA), its gate on x", "CAA"),
        ("Double attention (A2-Net)", "A2-Net"),
        ("Coordinate attention", "Coordinate attention"),
        ("No attention (control)", "No attention"),
    ],
)
def test_a_module_has_the_name_that_the_field_knows(title, name):
    assert abbreviation(title) == name


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("mobilenet_v2", "MobileNetV2"),
        ("mobilenet_v2,width=0.35", "0.35 MobileNetV2"),
        ("mobilenet_v1,num_classes=101", "MobileNetV1 (num classes = 101)"),
        ("timm:resnet18", "resnet18"),
    ],
)
def test_a_backbone_has_its_title(spec, name):
    assert backbone_name(spec) == name


def names_of(tables):
    return [figure.text for figure in tables[0].columns[0].column.figures]


def test_rows_are_named_by_module_options_and_form(paper_of, content, record):
    rows = [
        {"backbone": "mobilenet_v2"},
        {"backbone": "mobilenet_v2", "module": "ulsam,groups=8", "placement": "after:17"},
        {"backbone": "mobilenet_v2", "module": "se", "placement": "after:17", "forms": ["fused"]},
        {"backbone": "mobilenet_v2", "module": "cbam", "placement": "after:17"},
    ]
    content["table"][0] |= {"columns": ["label", "params"], "row": rows}
    titles = {"se/after:17/fused": "Channel (SE)", "cbam/after:17": "Spatial (SE)"}
    records = {
        f"cost/mobilenet_v2/{name}": record(card={"title": title}) for name, title in titles.items()
    }
    names = ["MobileNetV2", "ULSAM (g = 8)", "SE (channel, fused)", "SE (spatial)"]
    assert names_of(paper_of(content, records)) == names


def test_a_label_of_the_suite_stays(paper_of, content):
    assert names_of(paper_of(content)) == ["MV2", "MV2 + ULSAM"]
