"""Devices: CUDA and other accelerators, their clocks, graphs and memory. Imports no torch."""

from attnbench.devices.device import Device, find_device

__all__ = ["Device", "find_device"]
