"""Lints and renders the chart for each set of values, and validates what comes out. Runs in an environment of its own.

stdin: {"chart": folder, "versions": [Kubernetes' …], "cases": {name: values}}; stdout: by name `{"lint": [messages],
"manifests": [objects], "notes": text, "invalid": [messages]}`, or `{"refused": message}` where Helm refuses the values.
"""

import json
import sys
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import yaml

#: Kinds whose schemas are not Kubernetes' own: validated by who called.
FOREIGN = ("keda.sh/", "monitoring.coreos.com/", "gateway.networking.k8s.io/")
_WARNING = 2


def render(chart: Path, values: dict[str, Any], versions: list[str]) -> dict[str, Any]:
    loaded = helm_python.Chart.load(chart)
    try:
        loaded.validate_schema(values)
        rendered = loaded.render(values, name="trial", namespace="imaging")
    except helm_python.HelmError as error:
        return {"refused": str(error)}
    notes = next((text for path, text in rendered.items() if path.endswith("NOTES.txt")), "")
    texts = [text for path, text in rendered.items() if path.endswith(".yaml")]
    manifests = [one for text in texts for one in yaml.safe_load_all(text) if one]
    report = helm_python.lint(chart, values, strict=True, namespace="imaging")
    said = [one["error"] for one in report["messages"] if one["severity"] >= _WARNING]
    return {
        "lint": [*said, *report["errors"]],
        "manifests": manifests,
        "notes": notes,
        "invalid": [message for one in manifests for message in problems(one, versions)],
    }


def problems(manifest: dict[str, Any], versions: list[str]) -> list[str]:
    if manifest["apiVersion"].startswith(FOREIGN):
        return []
    found = []
    for version in versions:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.InvalidSchemaError) as error:
            found.append(f"{version} {manifest['kind']}/{manifest['metadata']['name']}: {error}")
    return found


def main() -> None:
    asked = json.load(sys.stdin)
    chart = Path(asked["chart"])
    answered = {name: render(chart, values, asked["versions"]) for name, values in asked["cases"].items()}
    json.dump(answered, sys.stdout)


if __name__ == "__main__":
    main()
