"""The peak beside an executor that runs the graph with real tensors and looks at what is there."""

import pytest
import torch
import torchvision
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from attnbench.counting.forward_pass import quiet_pass
from attnbench.counting.peak_memory import peak_activations
from attnbench.registry.attention import find_attention


def peak_bytes(model, image):
    return peak_activations(model, image).bytes


class Watching(fx.Interpreter):
    """Drops each value after its last user, and sums the storages that are left at each step."""

    def __init__(self, program):
        super().__init__(program.graph_module)
        self.users = set(program.graph_signature.user_inputs)
        self.most = 0

    def run_node(self, node):
        result = super().run_node(node)
        if node.op == "call_function":
            values = [value for one, value in self.env.items() if self.weighs(one)]
            tensors = [
                one for one in pytree.tree_leaves([values, result]) if isinstance(one, Tensor)
            ]
            constant = {
                value.untyped_storage().data_ptr()
                for one, value in self.env.items()
                if not self.weighs(one) and isinstance(value, Tensor)
            }
            sizes = {
                one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors
            }
            self.most = max(self.most, sum(n for at, n in sizes.items() if at not in constant))
        return result

    def weighs(self, node):
        return node.op == "call_function" or node.name in self.users


def executed(model: nn.Module, image: Tensor) -> int:
    with quiet_pass():
        program = torch.export.export(model.eval(), (image,), strict=False)
        watching = Watching(program)
        state = {**program.state_dict, **program.constants}
        signature = program.graph_signature
        arguments = [
            image.clone() if one.target is None else state[one.target]
            for one in signature.input_specs
        ]
        watching.run(*arguments)
    return watching.most


MODULES = ("ulsam,groups=4", "se", "cbam", "bam", "non_local", "double_attention")


@pytest.mark.parametrize("spec", MODULES)
def test_modules(spec):
    module = find_attention(spec).build(64, (14, 14))
    image = torch.randn(2, 64, 14, 14)
    assert peak_bytes(module, image) == executed(module, image)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x0_5"])
def test_networks(name):
    model = torchvision.models.get_model(name)
    image = torch.randn(1, 3, 96, 96)
    assert peak_bytes(model, image) == executed(model, image)
