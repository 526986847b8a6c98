"""The score script of the real server: Azure ML's one for MLflow in signature and severity, with a stand-in model.

Runs in the serving stack's own environment. As there, `input_data` becomes a pandas table, the model's signature takes
two columns of text out of it by name, and one row after another is decoded and answered.
"""

import base64
import io
import json
import os
import time
from typing import Any

import numpy as np
import pandas as pd
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.schema_decorators import input_schema, output_schema
from PIL import Image

SLEEP_S = float(os.environ.get("STAND_IN_SLEEP_S", "0"))


class Anything(AbstractParameterType):
    """A parameter that the server hands over as JSON gave it."""

    sample_data_type_map: dict[str, Any] = {}

    def deserialize_input(self, input_data: Any) -> Any:
        return input_data

    def input_to_swagger(self) -> dict[str, Any]:
        return {"type": "object", "example": self.sample_input}


def init() -> None:
    """Nothing to load."""


@input_schema("params", Anything({}), optional=True)
@input_schema("input_data", Anything({}))
@output_schema(Anything({}))
def run(input_data: Any, params: Any = None) -> list[dict[str, Any]]:
    time.sleep(SLEEP_S)
    table = pd.DataFrame(**{name: input_data.get(name) for name in ("data", "index", "columns")})
    return [answer(image, text) for image, text in table[["image", "text"]].itertuples(index=False)]


def answer(image: Any, text: Any) -> dict[str, Any]:
    if not isinstance(image, str) or not isinstance(text, str):
        raise TypeError("the signature wants texts")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB"))
    prompts = text.split("&")
    maps = np.zeros((len(prompts), 1024, 1024), np.uint8)
    for number in range(len(prompts)):  # a different part of the picture for each prompt
        top = 100 * number
        maps[number, top : top + 300, 200:700] = pixels[top : top + 300, 200:700, number % 3]
    features = {"data": base64.b64encode(maps.tobytes()).decode(), "shape": maps.shape, "dtype": str(maps.dtype)}
    return {"image_features": json.dumps(features), "text_features": ["other"] * len(prompts)}
