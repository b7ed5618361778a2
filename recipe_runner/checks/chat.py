"""`chat`: the answer to a question is what it should be."""

from recipe_runner.api import Client, Outcome
from recipe_runner.checks.expect import Generates


class Chat(Generates):
    """Sends `prompt` as the user's message to `/v1/chat/completions`, after `system` if there is one."""

    system: str | None = None
    """A message that comes first, in the role of the system."""

    def run(self, server: Client) -> Outcome:
        system = [{"role": "system", "content": self.system}] if self.system is not None else []
        return self.judge(server.chat([*system, {"role": "user", "content": self.prompt}], **self.parameters()))
