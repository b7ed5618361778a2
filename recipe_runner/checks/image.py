"""`image`: the answer to a question about an image is what it should be."""

import base64
import mimetypes
import re
from pathlib import Path
from typing import Any

from pydantic import ValidatorFunctionWrapHandler, field_validator

from recipe_runner.api import Asset, Client, Outcome
from recipe_runner.checks.expect import Generates


class Image(Generates):
    """Sends `image` and `prompt` in one message to `/v1/chat/completions`."""

    image: Asset
    """A file beside the recipe, or an address, `https://…`, from which the server fetches it."""

    @field_validator("image", mode="wrap")
    @classmethod
    def _file_or_address(cls, value: Any, file: ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(value, str) or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value):
            return file(value)
        if not re.fullmatch(r"https://[^\s/?#@\\]+(?:[/?#]\S*)?", value) or not value.isprintable():
            raise ValueError("give a file beside the recipe, or an address that begins with https://")
        return value

    def run(self, server: Client) -> Outcome:
        content = [
            {"type": "image_url", "image_url": {"url": self._url()}},
            {"type": "text", "text": self.prompt},
        ]
        return self.judge(server.chat([{"role": "user", "content": content}], **self.parameters()))

    def _url(self) -> str:
        if self.image.startswith("https://"):
            return self.image
        kind = mimetypes.guess_type(self.image)[0] or "application/octet-stream"
        return f"data:{kind};base64,{base64.b64encode(Path(self.image).read_bytes()).decode()}"
