"""Where a training stands: one safetensors file, written beside and moved into place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from brainclock.errors import InputError
from brainclock.io.atomic import write_bytes

Modules = Mapping[str, nn.Module]


def save_checkpoint(
    path: Path,
    step: int,
    identity: str,
    total: float,
    modules: Modules,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write weights, moments of the optimiser, and the number of steps done.

    Nothing random is stored: every draw depends on the seed and the step alone.

    Parameters
    ----------
    path : Path
    step : int
        Steps done.
    identity : str
        Of the run (settings and people): a checkpoint of another run is not taken up.
    total : float
        Sum of the losses since the last epoch ended.
    modules : mapping of str to Module
    optimiser : Optimizer
    """
    tensors = {
        f"{name}.{key}": tensor.detach().cpu().contiguous()
        for name, module in modules.items()
        for key, tensor in module.state_dict().items()
    }
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value.cpu() for key, value in state.items()}
    write_bytes(path, save(tensors, metadata={"step": str(step), "identity": identity, "total": repr(total)}))


def load_checkpoint(
    path: Path, identity: str, modules: Modules, optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    """Take up a checkpoint and return its steps and ``total``; zeros where there is none of this run.

    Raises
    ------
    InputError
        The file is damaged.
    """
    if not path.is_file():
        return 0, 0.0
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(str(path), str(error), "a checkpoint", "Delete it: training starts anew.") from None
    if about.get("identity") != identity:
        return 0, 0.0
    for name, module in modules.items():
        prefix = f"{name}."
        module.load_state_dict(
            {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        )
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    return int(about["step"]), float(about["total"])
