"""Where Triton runs an instance of the model: on which GPU, and beside how many others. Knows no engine; imports nothing heavy."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass

DRIVER = "libcuda.so.1"
GPU = "GPU"  # what Triton calls the kind of an instance that has a GPU of its own


@dataclass(frozen=True)
class Place:
    """`device`: the GPU's number, as CUDA counts those that this process may use. `instances`: how many share the processor."""

    device: int = 0
    instances: int = 1

    @classmethod
    def of(cls, arguments: Mapping[str, str]) -> "Place":
        """As the arguments of a model's `initialize` say. Triton has an instance for each GPU that it can use, or else one."""
        if arguments["model_instance_kind"] != GPU:
            return ALONE
        return cls(int(arguments["model_instance_device_id"]), max(gpus(), 1))

    @property
    def labels(self) -> dict[str, str]:
        """Labels of this instance's metrics, by which several are kept apart; none where there is one."""
        return {"gpu": str(self.device)} if self.instances > 1 else {}

    def share(self, cores: int) -> int:
        """An instance's part of the processor's cores, at least one."""
        return max(1, cores // self.instances)


ALONE = Place()  # on the first GPU, if there is one, and all of the processor


def gpus() -> int:
    """GPUs that the driver lets this process use; 0 without a driver."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value
