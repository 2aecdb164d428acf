"""The attention modules that attnbench ships, as a table of names. Imports no torch.

One file holds one paper. The table is reached through the entry point group ``attnbench.plugins``,
the same door that anybody's plugin uses; a class is imported only when its module is built.
"""

from __future__ import annotations

MODULES: dict[str, dict[str, object]] = {
    "identity": {
        "target": "attnbench_modules.identity:Identity",
        "title": "No attention (control)",
        "family": "control",
        "year": None,
        "paper": None,
    },
    "ulsam": {
        "target": "attnbench_modules.ulsam:ULSAM",
        "title": "Ultra-lightweight subspace attention (ULSAM)",
        "family": "spatial",
        "year": 2020,
        "paper": "Saini, WACV'20",
    },
    "non_local": {
        "target": "attnbench_modules.non_local:NonLocal",
        "title": "Non-local block",
        "family": "non-local",
        "year": 2018,
        "paper": "Wang, CVPR'18",
    },
    "double_attention": {
        "target": "attnbench_modules.double_attention:DoubleAttention",
        "title": "Double attention (A2-Net)",
        "family": "non-local",
        "year": 2018,
        "paper": "Chen, NeurIPS'18",
    },
    "se": {
        "target": "attnbench_modules.se:SE",
        "title": "Squeeze-and-excitation (SE)",
        "family": "channel",
        "year": 2018,
        "paper": "Hu, CVPR'18",
    },
    "bam": {
        "target": "attnbench_modules.bam:BAM",
        "title": "Bottleneck attention (BAM)",
        "family": "mixed",
        "year": 2018,
        "paper": "Park, BMVC'18",
    },
    "cbam": {
        "target": "attnbench_modules.cbam:CBAM",
        "title": "Convolutional block attention (CBAM)",
        "family": "mixed",
        "year": 2018,
        "paper": "Woo, ECCV'18",
    },
    "eca": {
        "target": "attnbench_modules.eca:ECA",
        "title": "Efficient channel attention (ECA)",
        "family": "channel",
        "year": 2020,
        "paper": "Wang, CVPR'20",
    },
}
"""Name to ``{"target": "package.module:Class", "title", "family", "year", "paper"}``."""
