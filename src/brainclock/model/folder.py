"""A model on disk: ``weights.safetensors`` and ``model.json``. Nothing pickled is ever loaded."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from numpy import ndarray
from pydantic import ValidationError
from torch import Tensor

from brainclock.config import Grid
from brainclock.errors import InputError, ModelError
from brainclock.io.atomic import make_folder, write_bytes, write_json
from brainclock.io.read import read_json
from brainclock.model.card import FORMAT, ModelCard, versions
from brainclock.model.ensemble import Ensemble
from brainclock.model.familiarity import Familiarities

#: Where the models lie that come with the package, one folder a name.
SHIPPED = Path(__file__).with_name("weights")
DEFAULT = "whole-brain"

_WEIGHTS = "weights.safetensors"
_CARD = "model.json"
_FAMILIARITY = "familiarity."


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model ready to predict (evaluation mode, CPU, weights fixed) and what is known of it."""

    model: Ensemble
    card: ModelCard
    familiarity: Familiarities
    folder: Path


def shipped_models() -> list[str]:
    """Return the names of the models that come with the package, the default first."""
    names = [path.parent.name for path in SHIPPED.glob(f"*/{_CARD}")]
    return sorted(names, key=lambda name: (name != DEFAULT, name))


def save_model(model: Ensemble, card: ModelCard, familiarity: Familiarities, folder: Path) -> ModelCard:
    """Write a model folder and return the card with what is known only now filled in.

    ``model.json`` goes first and comes last: a folder that has one is whole.

    Raises
    ------
    OutputError
        The folder cannot be written.
    ModelError
        The model is not the one that the card describes, has another number of members than there are
        familiarities, or a weight is not a number.
    """
    if card.settings != model.settings:
        raise ModelError(
            f"The card of {card.name} has other settings than the model: give it the model's own."
        )
    if len(familiarity.members) != len(model.members):
        raise ModelError(
            f"{card.name} has {len(model.members)} members and familiarities of {len(familiarity.members)}: "
            "give one for each member."
        )
    weights = _to_bytes(model, familiarity)
    final = card.model_copy(
        update={
            "members": len(model.members),
            "preparation": card.settings.prepare.digest(),
            "golden_age": golden_age(model),
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "created_with": versions(),
        }
    )
    make_folder(folder)
    (folder / _CARD).unlink(missing_ok=True)
    write_bytes(folder / _WEIGHTS, weights)
    write_json(folder / _CARD, final.model_dump(mode="json"))
    return final


def load_model(name_or_path: str | Path | None = None) -> LoadedModel:
    """Load a shipped model by its name, or a model folder by its path.

    Parameters
    ----------
    name_or_path : str, Path or None
        None is the default shipped model. A string that is the name of a shipped model means that
        one; write ``./name`` for a folder of the same name.

    Raises
    ------
    ModelError
        There is no such model, a file is missing or was changed, or it was made by a version that
        this one cannot read.

    Examples
    --------
    >>> loaded = brainclock.load_model()
    >>> loaded.card.name, loaded.card.licence
    ('whole-brain', 'Apache-2.0')
    >>> youngest, oldest = loaded.card.age_range  # of those who trained it, years
    """
    folder = _find(name_or_path)
    card = _read_card(folder)
    tensors = _read_weights(folder / _WEIGHTS, card)
    model = Ensemble.build(card.settings, card.members)
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(_FAMILIARITY)}
    _check_tensors(folder, own, model.state_dict())
    model.load_state_dict(own)
    model.eval().requires_grad_(False)
    reference = {
        name.removeprefix(_FAMILIARITY): tensor.float().numpy()
        for name, tensor in tensors.items()
        if name.startswith(_FAMILIARITY)
    }
    try:
        familiarity = Familiarities.from_tensors(reference, card.members)
    except (KeyError, ValueError) as error:
        raise ModelError(f"{folder / _WEIGHTS} has no usable familiarity ({error}): copy it again.") from None
    for known, member in zip(familiarity.members, model.members, strict=True):
        if len(known.centre) != member.embedding_size:
            raise ModelError(
                f"{folder / _WEIGHTS}: the familiarity is for embeddings of {len(known.centre)} features and "
                f"the model has {member.embedding_size}: copy the folder again, or train the model again."
            )
    return LoadedModel(model, card, familiarity, folder)


def golden_volume(grid: Grid) -> Float32[ndarray, "x y z"]:
    """Return the golden input: a brain of formulas in template space, the same on every machine.

    An ellipsoid of alternating white and grey matter with ventricles of CSF. It looks like no
    brain and its age means nothing; that it stays the same shows that model and installation compute as
    where the model was made.
    """
    steps = np.stack(np.meshgrid(*(np.arange(size) for size in grid.shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(steps @ grid.matrix[:3, :3].T + grid.matrix[:3, 3], -1, 0)
    brain = (x / 67.3) ** 2 + ((y + 17.1) / 85.7) ** 2 + ((z - 4.9) / 65.9) ** 2
    ventricles = ((np.abs(x) - 14.3) / 9.7) ** 2 + ((y + 20.3) / 33.1) ** 2 + ((z - 14.7) / 12.9) ** 2
    folds = np.cos(x / 4.1) * np.cos(y / 4.7) * np.cos(z / 4.3)
    volume = np.where(ventricles < 1, 0.35, 0.85 + 0.15 * folds)
    return np.where(brain < 1, volume, 0.0).astype(np.float32)


def golden_age(model: Ensemble) -> float:
    """Return the age that a model gives to the golden input, years, computed on the CPU."""
    volume = torch.from_numpy(golden_volume(model.grid))[None, None]
    with torch.no_grad():
        return float(copy.deepcopy(model).cpu().float().eval()(volume))


def _find(name_or_path: str | Path | None) -> Path:
    """Return the folder of a shipped name or of a path."""
    wanted = DEFAULT if name_or_path is None else name_or_path
    names = shipped_models()
    if isinstance(wanted, str) and wanted in names:
        return SHIPPED / wanted
    shipped = ", ".join(names) or "none"
    if name_or_path is None:
        raise ModelError(f"The package ships no model {DEFAULT} (only: {shipped}): name a model folder.")
    folder = Path(wanted)
    if not folder.is_dir():
        raise ModelError(
            f"{wanted} is neither a model folder nor a shipped model (these are: {shipped}): check the path."
        )
    missing = [name for name in (_CARD, _WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder} lacks {' and '.join(missing)}, which a model folder has: copy the whole folder, or "
            "finish the training that writes it."
        )
    return folder


def _read_card(folder: Path) -> ModelCard:
    path = folder / _CARD
    try:
        tree = read_json(path)
    except InputError as error:
        raise ModelError(
            f"{path} is not readable as a model card: found {error.found}. Copy it again."
        ) from None
    written = tree.get("format") if isinstance(tree, dict) else None
    if written != FORMAT:
        raise ModelError(
            f"{path} has format {written!r} and this version of brainclock reads format {FORMAT}: use the "
            "version that wrote it, or train the model again."
        )
    try:
        card = ModelCard.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            f"{path}: {where} cannot be used ({first['msg']}): copy the file again, or use the version of "
            "brainclock that wrote it."
        ) from None
    if card.preparation != card.settings.prepare.digest():
        raise ModelError(
            f"{path}: settings.prepare was changed since the model was saved (its digest is not "
            f"{card.preparation[:12]}…): copy the file again."
        )
    return card


def _read_weights(path: Path, card: ModelCard) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from None
    found = hashlib.sha256(content).hexdigest()
    if found != card.weights_sha256:
        raise ModelError(
            f"{path} was changed: its SHA-256 begins with {found[:12]} and {_CARD} says "
            f"{card.weights_sha256[:12]}: copy the folder again."
        )
    try:
        tensors: dict[str, Tensor] = load(content)
    except SafetensorError as error:
        raise ModelError(f"{path} is not a safetensors file ({error}): copy the folder again.") from None
    return tensors


def _check_tensors(folder: Path, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Compare names and shapes with what the settings of the card make."""
    for name in sorted(found.keys() ^ expected.keys()):
        lack = "lacks" if name in expected else "has an unknown"
        raise ModelError(f"{folder / _WEIGHTS} {lack} tensor {name}: it does not belong to this {_CARD}.")
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise ModelError(
                f"{folder / _WEIGHTS}: tensor {name} has shape {tuple(found[name].shape)} and the "
                f"settings in {_CARD} ask for {tuple(tensor.shape)}: the two do not belong together."
            )


def _to_bytes(model: Ensemble, familiarity: Familiarities) -> bytes:
    """Return the content of the weights file; equal weights give equal bytes.

    What half precision holds exactly (kernels after `round_kernels`, the components of familiarity) is
    written so.
    """
    from safetensors.torch import save

    tensors = {name: _compact(tensor.detach().cpu()) for name, tensor in model.state_dict().items()}
    reference: dict[str, Shaped[ndarray, ...]] = dict(familiarity.tensors())
    for name, array in reference.items():
        tensors[_FAMILIARITY + name] = _compact(torch.from_numpy(array.copy()))
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ModelError(f"Tensor {name} of the model has a value that is not a number: it is not saved.")
    content: bytes = save(tensors)
    return content


def _compact(tensor: Tensor) -> Tensor:
    """Return a matrix or kernel in half precision if that changes nothing, and all else as it is."""
    half = tensor.half()
    return (half if tensor.ndim > 1 and torch.equal(half.to(tensor.dtype), tensor) else tensor).contiguous()
