"""See the package."""


class LRUCacheWorkerLoRAManager: ...
