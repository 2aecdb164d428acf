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
    "effective_se": {
        "target": "attnbench_modules.effective_se:EffectiveSE",
        "title": "Effective squeeze-and-excitation (eSE)",
        "family": "channel",
        "year": 2020,
        "paper": "Lee, CVPR'20",
    },
    "sk": {
        "target": "attnbench_modules.sk:SK",
        "title": "Selective kernel convolution (SK)",
        "family": "mixed",
        "year": 2019,
        "paper": "Li, CVPR'19",
    },
    "ge": {
        "target": "attnbench_modules.ge:GE",
        "title": "Gather-excite (GE)",
        "family": "channel",
        "year": 2018,
        "paper": "Hu, NeurIPS'18",
    },
    "srm": {
        "target": "attnbench_modules.srm:SRM",
        "title": "Style-based recalibration (SRM)",
        "family": "channel",
        "year": 2019,
        "paper": "Lee, ICCV'19",
    },
    "nam": {
        "target": "attnbench_modules.nam:NAM",
        "title": "Normalization-based attention, channel part (NAM)",
        "family": "channel",
        "year": 2021,
        "paper": "Liu, NeurIPSW'21",
    },
    "gct": {
        "target": "attnbench_modules.gct:GCT",
        "title": "Gated channel transformation (GCT)",
        "family": "channel",
        "year": 2020,
        "paper": "Yang, CVPR'20",
    },
    "fca": {
        "target": "attnbench_modules.fca:FCA",
        "title": "Frequency channel attention (FCA)",
        "family": "channel",
        "year": 2021,
        "paper": "Qin, ICCV'21",
    },
    "scse": {
        "target": "attnbench_modules.scse:SCSE",
        "title": "Concurrent spatial and channel squeeze & excitation (scSE)",
        "family": "mixed",
        "year": 2018,
        "paper": "Roy, MICCAI'18",
    },
    "coordinate": {
        "target": "attnbench_modules.coordinate:CoordinateAttention",
        "title": "Coordinate attention",
        "family": "mixed",
        "year": 2021,
        "paper": "Hou, CVPR'21",
    },
    "triplet": {
        "target": "attnbench_modules.triplet:TripletAttention",
        "title": "Triplet attention",
        "family": "mixed",
        "year": 2021,
        "paper": "Misra, WACV'21",
    },
    "ela": {
        "target": "attnbench_modules.ela:ELA",
        "title": "Efficient local attention (ELA-B)",
        "family": "mixed",
        "year": 2024,
        "paper": "Xu, arXiv'24",
    },
    "ema": {
        "target": "attnbench_modules.ema:EMA",
        "title": "Efficient multi-scale attention (EMA)",
        "family": "spatial",
        "year": 2023,
        "paper": "Ouyang, ICASSP'23",
    },
    "mca": {
        "target": "attnbench_modules.mca:MCA",
        "title": "Multidimensional collaborative attention (MCA)",
        "family": "mixed",
        "year": 2023,
        "paper": "Yu, EAAI'23",
    },
    "mlca": {
        "target": "attnbench_modules.mlca:MLCA",
        "title": "Mixed local channel attention (MLCA)",
        "family": "mixed",
        "year": 2023,
        "paper": "Wan, EAAI'23",
    },
    "scsa": {
        "target": "attnbench_modules.scsa:SCSA",
        "title": "Spatial and channel synergistic attention (SCSA)",
        "family": "mixed",
        "year": 2024,
        "paper": "Si, arXiv'24",
    },
    "cpca": {
        "target": "attnbench_modules.cpca:CPCA",
        "title": "Channel prior convolutional attention (CPCA)",
        "family": "large-kernel",
        "year": 2023,
        "paper": "Huang, arXiv'23",
    },
    "simam": {
        "target": "attnbench_modules.simam:SimAM",
        "title": "Simple parameter-free attention (SimAM)",
        "family": "parameter-free",
        "year": 2021,
        "paper": "Yang, ICML'21",
    },
    "shuffle": {
        "target": "attnbench_modules.shuffle:ShuffleAttention",
        "title": "Shuffle attention (SA-Net)",
        "family": "mixed",
        "year": 2021,
        "paper": "Zhang, ICASSP'21",
    },
    "gc": {
        "target": "attnbench_modules.gc:GlobalContext",
        "title": "Global context (GC)",
        "family": "channel",
        "year": 2019,
        "paper": "Cao, ICCVW'19",
    },
    "sge": {
        "target": "attnbench_modules.sge:SGE",
        "title": "Spatial group-wise enhance (SGE)",
        "family": "spatial",
        "year": 2019,
        "paper": "Li, arXiv'19",
    },
    "timm:": {
        "target": "attnbench_modules.timm_layers:TIMM",
        "title": "attention layers of timm",
    },
}
"""Name to ``{"target": "package.module:Class", "title", "family", "year", "paper"}``.

A name with a colon at its end stands for a family of modules, whose target lists and builds them.
"""
