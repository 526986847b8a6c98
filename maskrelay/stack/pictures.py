"""The demo's images: real photographs from the scikit-image package, and prompts on which the model was trained."""

import importlib.resources
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Photograph:
    """A file of scikit-image's data, and the prompts for it."""

    file: str
    prompts: tuple[str, ...]

    def copy_to(self, folder: Path) -> Path:
        """Copy the unchanged file into `folder`."""
        path = folder / self.file
        with importlib.resources.as_file(importlib.resources.files("skimage") / "data" / self.file) as source:
            shutil.copyfile(source, path)
        return path


#: A colour fundus photograph, and a stained tissue section with the two prompts of Microsoft's article.
PHOTOGRAPHS = (
    Photograph("retina.jpg", ("optic disc in retinal fundus", "optic cup in retinal fundus")),
    Photograph("ihc.png", ("neoplastic cells in breast pathology", "inflammatory cells in breast pathology")),
)
