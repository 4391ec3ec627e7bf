"""What a network is, read from its definition: layers, edges, parameters."""

from dataclasses import dataclass, replace

from torch import fx, nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
# Layers without weights of their own that act on what the layer before them gives.
ACTIVATIONS = {
    "ReLU": "ReLU",
    "LeakyReLU": "LeakyReLU",
    "PReLU": "PReLU",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}
JOINS = {"cat": "concat", "concat": "concat", "add": "add", "iadd": "add", "sub": "subtract"}


@dataclass(frozen=True)
class Block:
    """One node of the drawn network.

    kind : "input", "conv", "concat", "add", "subtract", "norm" (batch norm that does not follow a
        convolution), "other" or "output".
    name : unique name of the graph node that ends the block.
    inputs : names of the blocks it reads.
    label : class or function name of the layer.
    kernel, in_channels, out_channels, dilation, stride : of a convolution, else 1.
    normalised, activation : batch norm and activation that follow directly.
    """

    kind: str
    name: str
    inputs: tuple[str, ...] = ()
    label: str = ""
    kernel: int = 1
    in_channels: int = 1
    out_channels: int = 1
    dilation: int = 1
    stride: int = 1
    normalised: bool = False
    activation: str = ""


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def network_blocks(network: nn.Module) -> list[Block]:
    """The blocks of a network in the order in which they are computed, traced with torch.fx.

    Batch norm and activations are merged into the convolution or join they follow when nothing
    else reads the value in between. Dropout, identity and a choice of channels are left out.
    A network whose control flow depends on its input cannot be traced and comes back as one block.
    """
    try:
        graph = fx.symbolic_trace(network)
    except fx.proxy.TraceError:
        return [
            Block("input", "input"),
            Block("other", "network", ("input",), label=type(network).__name__),
            Block("output", "output", ("network",)),
        ]
    modules = dict(graph.named_modules())
    blocks: dict[str, Block] = {}  # by the fx node that ends them
    ends: dict[fx.Node, str] = {}  # fx node -> key of the block that produces its value
    for node in graph.graph.nodes:
        readers = [n for n in node.all_input_nodes if n in ends]
        inputs = tuple(ends[n] for n in readers)
        block = _block_of(node, modules, inputs)
        if block is None:
            if inputs:
                ends[node] = inputs[0]
            continue
        previous = blocks.get(inputs[0]) if len(inputs) == 1 else None
        merged = _merge(previous, block) if previous and len(readers[0].users) == 1 else None
        if merged:
            blocks[inputs[0]] = merged
            ends[node] = inputs[0]
        else:
            blocks[node.name] = block
            ends[node] = node.name
    return list(blocks.values())


def _block_of(
    node: fx.Node, modules: dict[str, nn.Module], inputs: tuple[str, ...]
) -> Block | None:
    if node.op == "placeholder":
        return Block("input", node.name)
    if node.op == "output":
        return Block("output", node.name, inputs)
    if node.op == "call_module":
        return _block_of_module(node.name, modules[node.target], inputs)
    if node.op == "get_attr" or not inputs:
        return None
    function = node.target if isinstance(node.target, str) else node.target.__name__
    function = function.strip("_")
    if function == "getitem":  # a choice of channels: no layer
        return None
    if function in JOINS and len(inputs) > 1:
        return Block(JOINS[function], node.name, inputs)
    if function in ACTIVATIONS:
        return Block("other", node.name, inputs, function, activation=ACTIVATIONS[function])
    return Block("other", node.name, inputs, function)


def _block_of_module(name: str, module: nn.Module, inputs: tuple[str, ...]) -> Block | None:
    label = type(module).__name__
    if isinstance(module, CONVOLUTIONS):
        return Block(
            "conv",
            name,
            inputs,
            label,
            kernel=module.kernel_size[0],
            in_channels=module.in_channels,
            out_channels=module.out_channels,
            dilation=module.dilation[0],
            stride=module.stride[0],
        )
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return Block("norm", name, inputs, "BN", normalised=True)
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        kernel, stride = _first(module.kernel_size), _first(module.stride)
        return Block("other", name, inputs, label, kernel=kernel, stride=stride)
    if label in ACTIVATIONS:
        return Block("other", name, inputs, label, activation=ACTIVATIONS[label])
    if isinstance(module, nn.Identity | nn.modules.dropout._DropoutNd):
        return None
    return Block("other", name, inputs, label)


def _first(size: int | tuple[int, ...]) -> int:
    return size[0] if isinstance(size, tuple) else size


def _merge(previous: Block, block: Block) -> Block | None:
    """The previous block with this batch norm or activation on it, or None where it cannot be."""
    if previous.kind not in ("conv", "norm", "concat", "add", "subtract"):
        return None
    if block.kind == "norm" and not previous.normalised and not previous.activation:
        return replace(previous, normalised=True)
    if block.activation and not previous.activation:
        return replace(previous, activation=block.activation)
    return None
