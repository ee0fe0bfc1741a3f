"""A Qdrant server for tests: real HTTP in front of Qdrant's memory mode, equals in varying order."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models

from preceptor.agents.servers.scripted import Request, Response, ScriptedServer, Trouble


class FakeQdrant(ScriptedServer):
    """Speaks what ``ServerStore`` asks for; troubles befall the searches and the upserts."""

    def __init__(self, troubles: list[Trouble | None] | None = None) -> None:
        self.memory = QdrantClient(":memory:")
        self.chance = random.Random(1)
        super().__init__(troubles=troubles or [])

    def handle(self, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        self.answering = (request.path,) if path.endswith(("/query/batch", "/points")) else ()
        return super().handle(request)

    def respond(self, request: Request) -> Response:
        parts = urlsplit(request.path).path.strip("/").split("/")
        done = self._answer(request.method, parts, request.body)
        return Response.of({"result": done, "status": "ok", "time": 0.0})

    def _answer(self, method: str, parts: list[str], body: Any) -> Any:
        match method, parts:
            case "GET", ["aliases"]:
                return self.memory.get_aliases().model_dump(mode="json")
            case "POST", ["collections", "aliases"]:
                return self.memory.update_collection_aliases(
                    TypeAdapter(list[models.AliasOperations]).validate_python(body["actions"])
                )
            case "PUT", ["collections", name]:
                made = models.CreateCollection.model_validate(body)
                return self.memory.create_collection(
                    name, vectors_config=made.vectors, sparse_vectors_config=made.sparse_vectors
                )
            case "DELETE", ["collections", name]:
                return self.memory.delete_collection(name)
            case "PUT", ["collections", name, "index"]:
                return {"operation_id": 0, "status": "completed"}
            case "PUT", ["collections", name, "points"]:
                points = [models.PointStruct.model_validate(p) for p in body["points"]]
                self.memory.upsert(name, points)
                return {"operation_id": 0, "status": "completed"}
            case "POST", ["collections", name, "points", "count"]:
                return {"count": self.memory.count(name).count}
            case "POST", ["collections", name, "points", "query", "batch"]:
                asked = models.QueryRequestBatch.model_validate(body)
                return [{"points": self._nearest(name, one)} for one in asked.searches]
        raise AssertionError((method, parts))

    def _nearest(self, name: str, asked: models.QueryRequest) -> list[Any]:
        """Return the nearest points; which equals come first, and fit, changes from call to call."""
        everything = self.memory.count(name).count
        points = self.memory.query_points(
            name, asked.query, using=asked.using, query_filter=asked.filter, limit=everything
        ).points
        self.chance.shuffle(points)
        points.sort(key=lambda point: -point.score)
        return [point.model_dump(mode="json") for point in points[: asked.limit or 10]]
