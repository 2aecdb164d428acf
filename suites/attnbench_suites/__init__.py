"""The suites that attnbench ships, one file for each table, as a table of names. Imports no torch.

They come in through the entry point group ``attnbench.plugins``, the same door that anybody's
suites use. To make a suite of your own, copy one of the TOML files and change it.
"""

from __future__ import annotations

_ULSAM = {"year": 2020, "paper": "Saini, WACV'20"}

SUITES: dict[str, dict[str, object]] = {
    "quick": {
        "target": "attnbench_suites:quick.toml",
        "title": "Seven modules in MobileNetV1 and V2, one place each: cost and latency",
    },
    "mobilenet-latency": {
        "target": "attnbench_suites:mobilenet_latency.toml",
        "title": "Latency of modules in MobileNetV1, V2 and V3, in six runtimes",
    },
    "module-latency": {
        "target": "attnbench_suites:module_latency.toml",
        "title": "Latency of modules on their own, against one pass over the map",
    },
    "fashion-accuracy": {
        "target": "attnbench_suites:fashion_accuracy.toml",
        "title": "Accuracy of modules in a small MobileNetV2 on FashionMNIST, paired by seed",
    },
    "digits-accuracy": {
        "target": "attnbench_suites:digits_accuracy.toml",
        "title": "Accuracy of all modules in a small MobileNetV2 on digits, paired by seed",
    },
    "ulsam-table1": {
        "target": "attnbench_suites:ulsam_table1.toml",
        "title": "ULSAM: overheads of six attention modules on their own",
        **_ULSAM,
    },
    "ulsam-imagenet": {
        "target": "attnbench_suites:ulsam_imagenet.toml",
        "title": "ULSAM inserted into MobileNetV1 and V2, ImageNet-1K",
        **_ULSAM,
    },
    "ulsam-finegrained-mv1": {
        "target": "attnbench_suites:ulsam_finegrained_mv1.toml",
        "title": "ULSAM in place of a MobileNetV1 block, Food-101, Birds and Dogs",
        **_ULSAM,
    },
    "ulsam-finegrained-mv2": {
        "target": "attnbench_suites:ulsam_finegrained_mv2.toml",
        "title": "ULSAM in place of MobileNetV2 blocks, Food-101 and Birds",
        **_ULSAM,
    },
    "ulsam-ablation": {
        "target": "attnbench_suites:ulsam_ablation.toml",
        "title": "ULSAM in place of blocks, three widths of MobileNetV1 and MobileNetV2",
        **_ULSAM,
    },
    "eca-mobilenet-v2": {
        "target": "attnbench_suites:eca_mobilenet_v2.toml",
        "title": "ECA in MobileNetV2, ImageNet-1K, counted in powers of 1024",
        "year": 2020,
        "paper": "Wang, CVPR'20",
    },
    "coordinate-mobilenet-v2": {
        "target": "attnbench_suites:coordinate_mobilenet_v2.toml",
        "title": "Coordinate attention, SE and CBAM in MobileNetV2, ImageNet-1K",
        "year": 2021,
        "paper": "Hou, CVPR'21",
    },
    "simam-mobilenet-v2": {
        "target": "attnbench_suites:simam_mobilenet_v2.toml",
        "title": "SimAM in MobileNetV2, ImageNet-1K",
        "year": 2021,
        "paper": "Yang, ICML'21",
    },
    "triplet-mobilenet-v2": {
        "target": "attnbench_suites:triplet_mobilenet_v2.toml",
        "title": "Triplet attention in MobileNetV2, ImageNet-1K",
        "year": 2021,
        "paper": "Misra, WACV'21",
    },
    "mobilenet-v2-baselines": {
        "target": "attnbench_suites:mobilenet_v2_baselines.toml",
        "title": "Published accuracies of MobileNetV2, plain by source and with attention",
    },
}
"""Name to ``{"target": "package:file.toml", "title", "year", "paper"}``."""
