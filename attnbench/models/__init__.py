"""Networks: backbones, sites, insertion of modules, fused forms, pretrained weights, timm."""
