"""Names that EasyR1 imports from vLLM, for tests that never generate."""


class LLM: ...


class RequestOutput: ...


class SamplingParams: ...
