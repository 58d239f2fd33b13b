"""What the convolutions of extractor and restorer begin with; the text does not say.

From PyTorch's own values signals fade from layer to layer: it took the extractor twice as many steps to learn disks,
if it learned them at all, and a narrow restorer had gained 0.3 dB after 400 steps, not 1.
"""

from torch import nn


def he(network: nn.Module) -> None:
    """Weights of all convolutions as of K. He et al., "Delving deep into rectifiers" (ICCV 2015), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
