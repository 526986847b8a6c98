"""`load_model` gives the stand-in model of `score.py`."""

from pathlib import Path
from typing import Any

from score import answer


class Model:
    def predict(self, table: Any, params: Any = None) -> list[dict[str, Any]]:  # noqa: ARG002 - MLflow's signature
        return [answer(image, text) for image, text in table[["image", "text"]].itertuples(index=False)]


def load_model(folder: str) -> Model:
    assert (Path(folder) / "MLmodel").exists()
    return Model()
