"""Where a model runs, and how time and memory are measured there. Imports no torch by itself."""

from attnbench.devices.device import Device
from attnbench.devices.failure import DeviceError
from attnbench.devices.find import find_device

__all__ = ["Device", "DeviceError", "find_device"]
