"""How the inference forms gather values from all positions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from attnbench_modules._folding import traced


def attended(query: Tensor, key: Tensor, value: Tensor, *, blockwise: int) -> Tensor:
    """Return the values' means, weighed by softmax(query^T key): three maps -> (B, C, N).

    Large maps are attended to block by block, so that the N x M matrix, 39 MB on a 56x56 map, is
    never written to memory.

    Args:
        query: (B, d, N).
        key: (B, d, M).
        value: (B, C, M), with C at least d.
        blockwise: from so many positions N on that is the faster way.
    """
    if query.shape[2] < blockwise or traced():
        scores = torch.bmm(query.transpose(1, 2), key)  # (B, N, M)
        return torch.bmm(value, scores.softmax(-1).transpose(1, 2))
    missing = value.shape[1] - query.shape[1]
    if missing:  # it wants all of one width; zeros add nothing to the scores
        query, key = F.pad(query, (0, 0, 0, missing)), F.pad(key, (0, 0, 0, missing))
    q, k, v = (part.transpose(1, 2).unsqueeze(1).contiguous() for part in (query, key, value))
    gathered = F.scaled_dot_product_attention(q, k, v, scale=1.0)  # (B, 1, N, C)
    return gathered.squeeze(1).transpose(1, 2)
