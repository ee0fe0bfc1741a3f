"""Which retriever finds worked examples for a recipe, and what may stand in its index.

Owns opening an index once, from a run's artefacts or a bundle's snapshot, and the check that no note
but those of train stands in it. Leaves searching to ``tools.rag``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from preceptor.core.egress import Egress
from preceptor.core.errors import StoreError
from preceptor.core.ports import Retriever
from preceptor.core.record import canonical, digest
from preceptor.core.records import Recipe
from preceptor.core.settings import Settings
from preceptor.tools.rag.embed import Embedder, embedder_for
from preceptor.tools.rag.retry import Patience, same

Read = Callable[[str], bytes]
"""Gives the bytes of an index by its content hash."""


@dataclass
class Retrievers:
    """Opens the retriever of a recipe, and keeps it open while recipes keep asking for it.

    Attributes:
        read: Where indexes are.
        train: The ids that may stand in one; None for a bundle, whose notes are not here.
        embedder: What makes dense vectors; where it is None, the one that an index names.
        url: A Qdrant server; empty: in memory.
        gate: What texts pass on their way to an embedder's server.
        models: Where models that were fetched by name live; the default place if None.
        patience: How often a server is asked again, and what to do when it does not come back.
    """

    read: Read
    train: Collection[str] | None = None
    embedder: Embedder | None = None
    url: str = ""
    gate: Egress | None = None
    models: Path | None = None
    patience: Patience = field(default_factory=Patience)
    _open: dict[str, Retriever] = field(default_factory=dict)

    def of(self, recipe: Recipe) -> Retriever | None:
        """Return the retriever of a recipe, None if it has no index.

        Raises:
            StoreError: If the index is missing, damaged, or holds other notes than train's.
            InputError: If it needs another embedder than the one that is set.
            StudentError: If a server cannot be used.
        """
        if recipe.index is None:
            return None
        key = digest(canonical(recipe.index.model_dump(mode="json")))
        if key not in self._open:
            self._open[key] = self._make(recipe)
        return self._open[key]

    def _make(self, recipe: Recipe) -> Retriever:
        from preceptor.tools.rag import artefact, retriever, store

        assert recipe.index is not None
        index = artefact.read(self.read(recipe.index.digest))
        if self.train is not None:
            artefact.check_ids(index, self.train)
        dense = retriever.settings_of(recipe.index).mode in ("dense", "hybrid")
        embedder = self.embedder
        if dense and embedder is None:
            embedder = embedder_of(index.config.embedder, self.gate, self.models, self.patience)
        points = store.ServerStore(index, self.url, self.patience) if self.url else None
        return retriever.QdrantRetriever(index, recipe.index, embedder, points)

    def close(self) -> None:
        """Give back what the indexes hold."""
        for one in self._open.values():
            close = getattr(one, "close", None)
            if close is not None:
                close()
        self._open.clear()


def embedder_of(
    spec: str,
    gate: Egress | None = None,
    models: Path | None = None,
    patience: Patience | None = None,
) -> Embedder | None:
    """Return the embedder that a setting names, None for an empty one.

    Args:
        spec: Its name.
        gate: What every text passes on its way to a server.
        models: Where models that were fetched by name live; the default place if None.
        patience: How often a server is asked again, and what to do when it does not come back.

    Raises:
        InputError: If the name is none, or its package is missing.
    """

    def admit(url: str, text: str) -> str:
        assert gate is not None
        return gate.door(url, "embedder").send([text])[0]

    if not spec:
        return None
    return embedder_for(spec, admit if gate is not None else None, patience, models)


def of_bundle(folder: Path, settings: Settings, gate: Egress, verb: str) -> Retrievers:
    """Return what retrieves for the recipe of a bundle.

    Args:
        folder: The bundle's.
        settings: Which embedder and Qdrant server.
        gate: What texts pass on their way to an embedder's server.
        verb: The command that asks, and that goes on when it is given again.
    """
    patience = Patience(later=same(verb))
    dense = embedder_of(settings.embedder, gate, settings.models_dir, patience)
    found = Retrievers(snapshots(folder), None, dense, settings.qdrant_url, gate)
    return replace(found, models=settings.models_dir, patience=patience)


def snapshots(folder: Path) -> Read:
    """Return what reads the index snapshots of a bundle.

    Args:
        folder: The bundle's.
    """

    def read(name: str) -> bytes:
        file = folder / "index" / f"{name}.jsonl"
        try:
            data = file.read_bytes()
        except OSError as cause:
            raise StoreError(
                f"the bundle's index {file.name!r} is missing", "export the bundle again"
            ) from cause
        if digest(data) != name:
            raise StoreError(f"the bundle's index {file.name!r} is damaged", "export the bundle again")
        return data

    return read
