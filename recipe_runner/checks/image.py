"""`image`: the answer to a question about an image is what it should be."""

import base64
import mimetypes
from pathlib import Path

from recipe_runner.api import Asset, Client, Outcome
from recipe_runner.checks.expect import Generates


class Image(Generates):
    """Sends `image` (a file beside the recipe) and `prompt` in one message to `/v1/chat/completions`."""

    image: Asset

    def run(self, server: Client) -> Outcome:
        kind = mimetypes.guess_type(self.image)[0] or "application/octet-stream"
        data = base64.b64encode(Path(self.image).read_bytes()).decode()
        content = [
            {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}},
            {"type": "text", "text": self.prompt},
        ]
        return self.judge(server.chat([{"role": "user", "content": content}], **self.parameters()))
