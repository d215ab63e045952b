"""See the package."""


class LoRARequest: ...
