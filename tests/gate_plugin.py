"""The source of a small plugin: a module that scales its input by a convolution of it."""

HEAD = "import attnbench\nimport torch\nfrom torch import nn\n"


def gate_class(
    decorator="",
    *,
    name="Gate",
    options="",
    conv="channels, channels, 1, bias=False",
    output="x * self.conv(x).sigmoid()",
):
    """Return the source of the class alone."""
    return f"""
{decorator}
class {name}(nn.Module):
    def __init__(self, channels{options}):
        super().__init__()
        self.conv = nn.Conv2d({conv})

    def forward(self, x):
        return {output}
"""


def gate_plugin(registered, *, facts="", **parts):
    """Return the source of a plugin file that registers the module.

    Args:
        registered: its name in the registry.
        facts: further arguments of the decorator, ``family="control"``.
        parts: parts of the class that differ from the usual ones.
    """
    more = f", {facts}" if facts else ""
    return HEAD + gate_class(f'@attnbench.register("{registered}"{more})', **parts)
