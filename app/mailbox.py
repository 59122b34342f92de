"""A folder that mails are put into, for whoever sends them: one `.eml` file each."""

import os
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from tempfile import NamedTemporaryFile

from app.schemas import Mail

SENDER = "The bookshop <shop@bookshop.example>"


class Mailbox:
    """Puts mails into the folder and lists them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, *, to: str, subject: str, text: str) -> bool:
        """Put a mail there, unless there is one of this name; says whether it is new.

        Events are delivered at least once. A name made of the event's id makes one mail of however many deliveries,
        also of two at the same time.
        """
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"], mail["Subject"] = SENDER, to, subject
        mail["Message-ID"] = f"<{name}@bookshop.example>"
        mail.set_content(text)
        self._folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._folder, suffix=".part") as part:
            part.write(mail.as_bytes())
            part.flush()
            try:
                # The file appears under its name whole or not at all, and only once.
                os.link(part.name, self._folder / f"{name}.eml")
            except FileExistsError:
                return False
        return True

    def all(self) -> list[Mail]:
        """List the mails, the oldest first."""
        files = sorted(self._folder.glob("*.eml"), key=lambda file: (file.stat().st_mtime_ns, file.name))
        return [_read(file) for file in files]


def _read(file: Path) -> Mail:
    mail = message_from_bytes(file.read_bytes(), policy=SMTP)
    return Mail(name=file.stem, to=str(mail["To"]), subject=str(mail["Subject"]), text=mail.get_content())
