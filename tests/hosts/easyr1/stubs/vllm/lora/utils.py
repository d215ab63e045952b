"""See the package."""


def get_adapter_absolute_path(*_): ...
