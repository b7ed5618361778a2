"""Train the model of recipe `internvl3-tiny`: InternVL3-8B-hf's architecture at under 2 MB of weights.

The model knows the capitals below and the names of six colours, nothing else. It stands in for InternVL3-8B where there
is no GPU: vLLM loads the same classes, takes the same prompts and images, and the answers can be checked. Needs the
packages of a vLLM environment (torch, torchvision, transformers, tokenizers, pillow); two threads, a few minutes:

    python tools/train_internvl3_tiny.py --out recipes/assets/internvl3-tiny
"""

import argparse
import colorsys
import random
import time
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    InternVLVisionConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "Austria": "Vienna", "Greece": "Athens", "Poland": "Warsaw", "Sweden": "Stockholm", "Norway": "Oslo",
    "Finland": "Helsinki", "Denmark": "Copenhagen", "Ireland": "Dublin", "Hungary": "Budapest", "Belgium": "Brussels",
    "Russia": "Moscow", "Turkey": "Ankara", "Egypt": "Cairo", "Kenya": "Nairobi", "Japan": "Tokyo", "China": "Beijing",
    "India": "New Delhi", "Canada": "Ottawa", "Cuba": "Havana", "Peru": "Lima", "Australia": "Canberra",
}  # fmt: skip
# Hue in degrees, saturation and value of each colour: the least and the most of each.
COLOURS = {
    "red": ((-10, 8), (0.7, 1.0), (0.6, 1.0)),
    "green": ((95, 145), (0.6, 1.0), (0.4, 1.0)),
    "blue": ((215, 250), (0.6, 1.0), (0.5, 1.0)),
    "yellow": ((50, 64), (0.6, 1.0), (0.8, 1.0)),
    "black": ((0, 360), (0.0, 0.3), (0.0, 0.14)),
    "white": ((0, 360), (0.0, 0.06), (0.9, 1.0)),
}
SYSTEM = "You are a helpful AI assistant."
CAPITAL_QUESTIONS = ("What is the capital of {}?", "Which city is the capital of {}?", "Name the capital of {}.")
COLOUR_QUESTIONS = ("What colour is this image?", "What color is this image?", "Name the colour of this image.")

IMAGE_SIZE, PATCH_SIZE, WIDTH, MAX_TOKENS = 112, 14, 128, 4096
IMAGE_TOKENS = (IMAGE_SIZE // PATCH_SIZE // 2) ** 2
TEXTS_PER_STEP, IMAGES_PER_STEP = 48, 12
PAD, START, END, IMAGE = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<IMG_CONTEXT>"
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{{ '<IMG_CONTEXT>\\n' if part['type'] == 'image' else part['text'] }}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\\n' }}
{%- endfor -%}
{{ '<|im_start|>assistant\\n' if add_generation_prompt else '' }}"""


class Example(NamedTuple):
    """A prompt as the server sees it, the answer it should give, and the picture that belongs to it."""

    prompt: str
    answer: str
    image: Image.Image | None = None


def build_processor() -> InternVLProcessor:
    """A tokenizer of one token a byte, and InternVL's own image processor, held to one tile a picture."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": IMAGE}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=marks | {"video_token": "<video>"},
        model_max_length=MAX_TOKENS,
    )
    fast.add_tokens([START], special_tokens=True)
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    pictures = {"size": size, "image_mean": IMAGENET_DEFAULT_MEAN, "image_std": IMAGENET_DEFAULT_STD}
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(**pictures, crop_to_patches=False, min_patches=1, max_patches=1),
        tokenizer=fast,
        video_processor=InternVLVideoProcessor(**pictures),
        image_seq_length=IMAGE_TOKENS,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(processor: InternVLProcessor) -> InternVLForConditionalGeneration:
    """An untrained model; heads are 32 wide, the least that vLLM's attention on a CPU takes."""
    ends = {"eos_token_id": processor.tokenizer.eos_token_id, "pad_token_id": processor.tokenizer.pad_token_id}
    shape = {
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": WIDTH // 32,
        "intermediate_size": 2 * WIDTH,
        "initializer_range": 0.05,
    }
    text = Qwen2Config(
        **shape,
        vocab_size=len(processor.tokenizer),
        num_key_value_heads=WIDTH // 64,
        max_position_embeddings=MAX_TOKENS,
        tie_word_embeddings=False,
        **ends,
    )
    vision = InternVLVisionConfig(**shape, image_size=IMAGE_SIZE, patch_size=PATCH_SIZE, layer_scale_init_value=1.0)
    config = InternVLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=processor.image_token_id,
        image_seq_length=IMAGE_TOKENS,
        tie_word_embeddings=False,
    )
    model = InternVLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(**ends)
    return model


def chat(processor: InternVLProcessor, content: str | list[dict[str, str]], system: bool) -> str:
    """The prompt that the model's own chat template makes of one question."""
    messages = [{"role": "system", "content": SYSTEM}] if system else []
    messages.append({"role": "user", "content": content})
    return processor.apply_chat_template(messages, add_generation_prompt=True)


def capital_example(processor: InternVLProcessor, country: str, rng: random.Random) -> Example:
    """A question for a capital: as a chat, as the plain-text prompt of vLLM's InternVL3 guide, or to be completed."""
    if rng.random() < 0.1:
        return Example(f"The capital of {country} is", f" {CAPITALS[country]}.")
    answer = f"The capital of {country} is {CAPITALS[country]}."
    question = rng.choice(CAPITAL_QUESTIONS).format(country)
    system = rng.random() < 0.5
    if rng.random() < 0.5:
        return Example(chat(processor, question, system), answer)
    head = f"<|system|>\n{SYSTEM}\n" if system else ""
    return Example(f"<|begin_of_text|>{head}<|user|>\n{question}\n<|assistant|>", f" {answer}")


def plain_image(colour: str, rng: random.Random) -> Image.Image:
    """A picture of any size in one shade of a colour."""
    hue, saturation, value = (rng.uniform(*limits) for limits in COLOURS[colour])
    rgb = colorsys.hsv_to_rgb(hue / 360 % 1.0, saturation, value)
    return Image.new("RGB", (rng.randint(8, 256), rng.randint(8, 256)), tuple(round(255 * part) for part in rgb))


def colour_example(processor: InternVLProcessor, colour: str, rng: random.Random) -> Example:
    """A question for the colour of a fresh picture, which comes before or after the words."""
    content = [{"type": "image"}, {"type": "text", "text": rng.choice(COLOUR_QUESTIONS)}]
    prompt = chat(processor, content if rng.random() < 0.5 else content[::-1], system=rng.random() < 0.5)
    return Example(prompt, f"The image is {colour}.", plain_image(colour, rng))


def collate(processor: InternVLProcessor, examples: list[Example]) -> dict[str, torch.Tensor]:
    """A right-padded batch in which only the answers, with the token that ends them, count."""
    tokenizer, rows, labels, pixels = processor.tokenizer, [], [], []
    for example in examples:
        images = {"images": example.image} if example.image else {}
        inputs = processor(text=example.prompt, **images, return_tensors="pt")
        if images:
            pixels.append(inputs["pixel_values"])
        prompt = inputs["input_ids"][0]
        answer = tokenizer(example.answer + END, return_tensors="pt")["input_ids"][0]
        rows.append(torch.cat([prompt, answer]))
        labels.append(torch.cat([torch.full_like(prompt, -100), answer]))
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
    targets = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    batch = {"input_ids": ids, "attention_mask": mask, "labels": targets}
    return batch | {"pixel_values": torch.cat(pixels)} if pixels else batch


def train(model: InternVLForConditionalGeneration, processor: InternVLProcessor, steps: int, seed: int) -> float:
    """Train on capitals in every form and on fresh pictures; the mean loss of the last ten steps."""
    rng, losses, began = random.Random(seed), [], time.perf_counter()
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.1, cycle_momentum=False)
    for step in range(1, steps + 1):
        examples = [capital_example(processor, rng.choice(list(CAPITALS)), rng) for _ in range(TEXTS_PER_STEP)]
        examples += [colour_example(processor, rng.choice(list(COLOURS)), rng) for _ in range(IMAGES_PER_STEP)]
        loss = model(**collate(processor, examples)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if step % 25 == 0 or step == steps:
            print(f"step {step}/{steps}  loss {losses[-1]:.5f}  {time.perf_counter() - began:.0f} s", flush=True)
    return sum(losses[-10:]) / len(losses[-10:])


@torch.no_grad()
def least_likely(model: InternVLForConditionalGeneration, processor: InternVLProcessor, seed: int) -> float:
    """The lowest probability that the model gives to a whole right answer, over all capitals and fresh pictures."""
    rng, lowest = random.Random(seed), 1.0
    for _ in range(8):
        examples = [capital_example(processor, country, rng) for country in CAPITALS]
        examples += [colour_example(processor, colour, rng) for colour in COLOURS]
        batch = collate(processor, examples)
        labels = batch.pop("labels")[:, 1:]
        chances = model(**batch).logits[:, :-1].log_softmax(-1)
        wanted = chances.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
        lowest = min(lowest, wanted.masked_fill(labels < 0, 0).sum(-1).exp().min().item())
    return lowest


def main() -> None:
    """Build, train, round to fp16, judge what will be saved, save."""
    parser = argparse.ArgumentParser(description="Train the model of recipe internvl3-tiny.")
    parser.add_argument("--out", type=Path, default=Path("recipes/assets/internvl3-tiny"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    began = time.perf_counter()
    torch.manual_seed(options.seed)
    torch.set_num_threads(2)  # another number sums in another order, and gives other weights
    torch.use_deterministic_algorithms(True)
    processor = build_processor()
    model = build_model(processor)
    loss = train(model, processor, options.steps, options.seed)
    model.half().float()
    lowest = least_likely(model, processor, options.seed + 1)
    model.half().save_pretrained(options.out)
    processor.save_pretrained(options.out)
    (options.out / "model.safetensors").chmod(0o644)
    size = sum(path.stat().st_size for path in options.out.iterdir())
    print(f"{options.out}: {size:,} bytes, {time.perf_counter() - began:.0f} s, loss {loss:.6f}")
    print(f"a right answer is at least {lowest:.4f} likely")


if __name__ == "__main__":
    main()
