"""A task with images from its sample.jsonl to its stored rows, through hf and through a server."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import vision_checkpoints
from openai_server import Server, serving
from vision_checkpoints import picture

from evalsuite import api
from evalsuite.data.images import has_images
from evalsuite.errors import InputError
from evalsuite.models import ModelOptions, resolve
from evalsuite.planning import Options

TASK = '''"""What is in the picture?"""
from evalsuite.records import Request, Sample, Sampling, Score
TASK = {"version": 1, "methods": ["generate", "logprob"], "method": "generate"}
def load(setup):
    for row in setup.own():
        yield Sample(row["id"], ({"role": "user", "content": row["content"]},), target=row["target"])
def prompt(sample, setup):
    if setup.method == "logprob":
        return [Request("loglikelihood", sample.messages, continuations=(" red", " eight legs"))]
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=8))]
def score(sample, completions, setup):
    return {"acc": float(len(completions.of("answer")[0].text)) if setup.method == "generate"
            else completions.logprobs[0]}
'''

Plugin = Callable[..., Path]


def encoded(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed, 24, 24).save(buffer, "PNG")
    return buffer.getvalue()


def rows(*images: str) -> str:
    made = [
        {"id": f"s{i}", "target": i, "content": [{"type": "image", "image": image}, {"type": "text", "text": "What?"}]}
        for i, image in enumerate(images)
    ]
    made.append({"id": "words", "target": 9, "content": [{"type": "text", "text": "What is the capital of France?"}]})
    return "\n".join(json.dumps(row) for row in made)


def write(plugin: Plugin, *images: str) -> Path:
    folder = plugin("pictures", TASK, sample__jsonl=rows(*images)) / "pictures"
    for seed in (1, 2):
        (folder / f"{seed}.png").write_bytes(encoded(seed))
    return folder


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vision_checkpoints.build(tmp_path_factory.mktemp("vision") / "llava", "llava")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def answers(run: api.Run) -> list[str]:
    return list(run.samples["answer"])


def test_own_items_with_images_run_through_hf(llava: Path, tmp_path: Path, plugin: Plugin) -> None:
    folder = write(plugin, "1.png", "2.png")
    run = api.run(str(llava), "pictures", store_dir=tmp_path / "store")
    prompts = list(run.samples["prompt"])
    assert all("[image " in prompt and "<image>" not in prompt for prompt in prompts[:2])
    assert "capital of France" in prompts[2]
    assert (run.samples["prompt_tokens"] > 16).tolist() == [True, True, True]  # sixteen places for an image
    assert max(len(prompt) for prompt in prompts) < 200
    assert answers(run)[0] != answers(run)[1]

    # The same pictures somewhere else, as bytes: the same answers out of the cache, and the same run.
    uri = "data:image/png;base64," + base64.b64encode(encoded(1)).decode()
    (folder / "b").mkdir()
    (folder / "b" / "two.png").write_bytes(encoded(2))
    (folder / "sample.jsonl").write_text(rows(uri, "b/two.png"))
    again = api.run(str(llava), "pictures", store_dir=tmp_path / "store")
    assert again.manifest["tokens"]["cached"] == 3
    assert again.name == run.name
    assert answers(again) == answers(run)

    # Another picture under the same name: computed anew.
    (folder / "b" / "two.png").write_bytes(encoded(3))
    other = api.run(str(llava), "pictures", store_dir=tmp_path / "store")
    assert other.manifest["tokens"]["cached"] == 2
    assert other.name != run.name
    for file in (tmp_path / "store").rglob("*"):
        if file.is_file() and file.suffix in (".json", ".parquet"):
            assert uri[30:90].encode() not in file.read_bytes(), file


def test_continuations_are_scored_after_images(llava: Path, tmp_path: Path, plugin: Plugin) -> None:
    write(plugin, "1.png", "2.png")
    run = api.run(str(llava), "pictures@logprob", store_dir=tmp_path / "store")
    found = list(run.samples["score.acc"])
    assert found[0] != pytest.approx(found[1], abs=1e-3)
    assert all(value < 0 for value in found)


def test_a_server_gets_data_uris(server: Server, tmp_path: Path, plugin: Plugin) -> None:
    write(plugin, "1.png", "2.png")
    server.reply = lambda body: f"seen {len(json.dumps(body['messages']))}"
    address = f"openai:m@{server.url}"
    run = api.run(address, "pictures", store_dir=tmp_path / "store")
    sent = {
        part["image_url"]["url"]
        for _, _, body in server.seen
        for part in body["messages"][0]["content"]
        if part["type"] == "image_url"
    }
    assert sent == {"data:image/png;base64," + base64.b64encode(encoded(seed)).decode() for seed in (1, 2)}
    assert "[image " in run.samples["prompt"][0]
    assert len(run.samples["prompt"][0]) < 100
    again = api.run(address, "pictures", store_dir=tmp_path / "store")
    assert again.manifest["tokens"]["cached"] == 3


@pytest.mark.parametrize(
    ("image", "why"),
    [("none.png", "none.png: the image cannot be read"), ("sample.jsonl", "no image of a known format"),
     ("https://host/cat.png", "image_urls=true")],
)  # fmt: skip
def test_what_is_no_image_ends_the_command_in_one_line(
    image: str, why: str, llava: Path, tmp_path: Path, plugin: Plugin
) -> None:
    write(plugin, "1.png", image)
    with pytest.raises(InputError, match=why) as caught:
        api.run(str(llava), "pictures", store_dir=tmp_path / "store")
    assert "\n" not in str(caught.value)
    assert "://" in image or "sample s1, messages[0].content[0]" in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_text_models_say_so(tiny: Path, tmp_path: Path, plugin: Plugin) -> None:
    write(plugin, "1.png")
    with pytest.raises(InputError, match="reads text only"):
        api.run(str(tiny), "pictures", store_dir=tmp_path / "store")


def test_the_switch_for_urls_is_no_part_of_the_model(tiny: Path) -> None:
    plain, switched = (resolve(str(tiny), ModelOptions(args=args)) for args in ({}, {"image_urls": "true"}))
    assert plain.identity == switched.identity


def test_a_plan_counts_image_places(llava: Path, tmp_path: Path, plugin: Plugin) -> None:
    write(plugin, "1.png", "2.png")
    [job] = api.prepare([str(llava)], ["pictures"], ModelOptions(), Options(), tmp_path / "store")
    pictured = [unit for unit in job.plan.stage.units.values() if has_images(unit.messages)]
    assert len(pictured) == 2
    place = job.plan.planner.renderer.processor.image_token_id
    assert [(unit.prompt_ids or ()).count(place) for unit in pictured] == [16, 16]
    assert not (tmp_path / "store").exists()
