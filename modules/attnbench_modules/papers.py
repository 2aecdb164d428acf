"""The papers behind timm's attention layers. Imports no torch."""

from __future__ import annotations

from attnbench.cards import Paper

_CVPR = "IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)"

SE = Paper(
    key="hu2018squeeze",
    title="Squeeze-and-Excitation Networks",
    authors=("Hu, Jie", "Shen, Li", "Sun, Gang"),
    venue=_CVPR,
    short="Hu, CVPR'18",
    year=2018,
    url="https://arxiv.org/abs/1709.01507",
)
ESE = Paper(
    key="lee2020centermask",
    title="CenterMask: Real-Time Anchor-Free Instance Segmentation",
    authors=("Lee, Youngwan", "Park, Jongyoul"),
    venue=_CVPR,
    short="Lee, CVPR'20",
    year=2020,
    url="https://arxiv.org/abs/1911.06667",
)
ECA = Paper(
    key="wang2020eca",
    title="ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
    authors=(
        "Wang, Qilong",
        "Wu, Banggu",
        "Zhu, Pengfei",
        "Li, Peihua",
        "Zuo, Wangmeng",
        "Hu, Qinghua",
    ),
    venue=_CVPR,
    short="Wang, CVPR'20",
    year=2020,
    url="https://arxiv.org/abs/1910.03151",
)
GATHER_EXCITE = Paper(
    key="hu2018gather",
    title="Gather-Excite: Exploiting Feature Context in Convolutional Neural Networks",
    authors=("Hu, Jie", "Shen, Li", "Albanie, Samuel", "Sun, Gang", "Vedaldi, Andrea"),
    venue="Advances in Neural Information Processing Systems (NeurIPS)",
    short="Hu, NeurIPS'18",
    year=2018,
    url="https://arxiv.org/abs/1810.12348",
)
GCNET = Paper(
    key="cao2019gcnet",
    title="GCNet: Non-Local Networks Meet Squeeze-Excitation Networks and Beyond",
    authors=("Cao, Yue", "Xu, Jiarui", "Lin, Stephen", "Wei, Fangyun", "Hu, Han"),
    venue="IEEE/CVF International Conference on Computer Vision Workshops (ICCVW)",
    short="Cao, ICCVW'19",
    year=2019,
    url="https://arxiv.org/abs/1904.11492",
)
CBAM = Paper(
    key="woo2018cbam",
    title="CBAM: Convolutional Block Attention Module",
    authors=("Woo, Sanghyun", "Park, Jongchan", "Lee, Joon-Young", "Kweon, In So"),
    venue="European Conference on Computer Vision (ECCV)",
    short="Woo, ECCV'18",
    year=2018,
    url="https://arxiv.org/abs/1807.06521",
)
COORDINATE = Paper(
    key="hou2021coordinate",
    title="Coordinate Attention for Efficient Mobile Network Design",
    authors=("Hou, Qibin", "Zhou, Daquan", "Feng, Jiashi"),
    venue=_CVPR,
    short="Hou, CVPR'21",
    year=2021,
    url="https://arxiv.org/abs/2103.02907",
)
ELA = Paper(
    key="xu2024ela",
    title="ELA: Efficient Local Attention for Deep Convolutional Neural Networks",
    authors=("Xu, Wei", "Wan, Yi"),
    venue="arXiv preprint arXiv:2403.01123",
    kind="article",
    short="Xu, arXiv'24",
    year=2024,
    url="https://arxiv.org/abs/2403.01123",
)
SELECTIVE_KERNEL = Paper(
    key="li2019selective",
    title="Selective Kernel Networks",
    authors=("Li, Xiang", "Wang, Wenhai", "Hu, Xiaolin", "Yang, Jian"),
    venue=_CVPR,
    short="Li, CVPR'19",
    year=2019,
    url="https://arxiv.org/abs/1903.06586",
)
RESNEST = Paper(
    key="zhang2020resnest",
    title="ResNeSt: Split-Attention Networks",
    authors=(
        "Zhang, Hang",
        "Wu, Chongruo",
        "Zhang, Zhongyue",
        "Zhu, Yi",
        "Lin, Haibin",
        "Zhang, Zhi",
        "Sun, Yue",
        "He, Tong",
        "Mueller, Jonas",
        "Manmatha, R.",
        "Li, Mu",
        "Smola, Alexander",
    ),
    venue="arXiv preprint arXiv:2004.08955",
    kind="article",
    short="Zhang, arXiv'20",
    year=2020,
    url="https://arxiv.org/abs/2004.08955",
)
LAMBDA = Paper(
    key="bello2021lambdanetworks",
    title="LambdaNetworks: Modeling Long-Range Interactions Without Attention",
    authors=("Bello, Irwan",),
    venue="International Conference on Learning Representations (ICLR)",
    short="Bello, ICLR'21",
    year=2021,
    url="https://arxiv.org/abs/2102.08602",
)
BOTTLENECK = Paper(
    key="srinivas2021bottleneck",
    title="Bottleneck Transformers for Visual Recognition",
    authors=(
        "Srinivas, Aravind",
        "Lin, Tsung-Yi",
        "Parmar, Niki",
        "Shlens, Jonathon",
        "Abbeel, Pieter",
        "Vaswani, Ashish",
    ),
    venue=_CVPR,
    short="Srinivas, CVPR'21",
    year=2021,
    url="https://arxiv.org/abs/2101.11605",
)
HALO = Paper(
    key="vaswani2021scaling",
    title="Scaling Local Self-Attention for Parameter Efficient Visual Backbones",
    authors=(
        "Vaswani, Ashish",
        "Ramachandran, Prajit",
        "Srinivas, Aravind",
        "Parmar, Niki",
        "Hechtman, Blake",
        "Shlens, Jonathon",
    ),
    venue=_CVPR,
    short="Vaswani, CVPR'21",
    year=2021,
    url="https://arxiv.org/abs/2103.12731",
)
NON_LOCAL = Paper(
    key="wang2018nonlocal",
    title="Non-local Neural Networks",
    authors=("Wang, Xiaolong", "Girshick, Ross", "Gupta, Abhinav", "He, Kaiming"),
    venue=_CVPR,
    short="Wang, CVPR'18",
    year=2018,
    url="https://arxiv.org/abs/1711.07971",
)
BILINEAR = Paper(
    key="chi2020bat",
    title="Non-Local Neural Networks With Grouped Bilinear Attentional Transforms",
    authors=("Chi, Lu", "Yuan, Zehuan", "Mu, Yadong", "Wang, Changhu"),
    venue=_CVPR,
    short="Chi, CVPR'20",
    year=2020,
    url="https://openaccess.thecvf.com/content_CVPR_2020/html/Chi_Non-Local_Neural_Networks_With_"
    "Grouped_Bilinear_Attentional_Transforms_CVPR_2020_paper.html",
)
