"""See the package."""


class LoRAModel: ...
