"""The simulated accelerator as fixtures."""

import pytest

from ..simulated_device import Machine, fake_nvml, fake_torch


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def api(machine):
    return fake_torch(machine)


@pytest.fixture
def make_torch(machine):
    return lambda *given, **options: fake_torch(machine, *given, **options)


@pytest.fixture
def make_nvml():
    return fake_nvml
