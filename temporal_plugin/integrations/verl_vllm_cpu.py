"""vLLM on CPU as verl's rollout, chosen by the recipe alone:
`engine_kwargs.vllm.worker_extension_cls: temporal_plugin.integrations.verl_vllm_cpu.CPUWorker`."""

import gc

import torch
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension


class CPUWorker(vLLMColocateWorkerExtension):
    """Keeps vLLM's weights plain, so that verl can write new ones into them."""

    def __new__(cls, **kwargs):
        keep_plain_weights()
        return super().__new__(cls, **kwargs)

    def _update_weights(self, weights, peft_config, base_sync_done):
        # On CPU `tensor.to(device)` copies nothing: the weights would stay views of the shared
        # memory that the next bucket overwrites.
        weights = [(name, tensor.clone()) for name, tensor in weights]
        super()._update_weights(weights, peft_config=peft_config, base_sync_done=base_sync_done)
        del weights
        gc.collect()


def keep_plain_weights() -> None:
    """Stop vLLM-CPU from prepacking linear layers.

    It replaces `layer.weight` by an empty parameter, after which a weight sync can never arrive
    (it hangs). Checked with vLLM 0.31.
    """
    import vllm.model_executor.layers.utils as layers

    def dispatch(layer, remove_weight):
        layer.cpu_linear = torch.nn.functional.linear

    layers.dispatch_cpu_unquantized_gemm = dispatch
