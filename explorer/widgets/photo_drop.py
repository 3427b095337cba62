"""Dropping a folder of photographs on the page: the browser scales them down and sends them one by one.

A photograph of a phone has 5 MB; scaled to a shorter side of 320 pixels it has 40 kB, so a thousand arrive in seconds
and no message comes near the limit of the connection. The browser turns them upright (it applies the EXIF tag), so what
is sent has no tag. Files that the browser cannot show are named and left out.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import anywidget
import traitlets

from explorer.core.errors import InputError
from explorer.core.files import write_bytes
from explorer.data.lists import is_list
from explorer.data.spelling import is_system

SIDE = 320  # pixels of the shorter side of what is sent: enough for crops of 224
MOST, LARGEST = 50_000, 2_000_000  # photographs of one drop, and bytes of one
ESM = """
async function entries(item) {
  if (item.isFile) {
    const file = await new Promise((ok, no) => item.file(ok, no));
    file.path = item.fullPath.slice(1);
    return [file];
  }
  const reader = item.createReader(), found = [];
  for (;;) {
    const some = await new Promise((ok, no) => reader.readEntries(ok, no));
    if (!some.length) break;
    for (const one of some) found.push(...(await entries(one)));
  }
  return found;
}
async function scaled(file, side) {
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, side / Math.min(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale));
  const paper = canvas.getContext("2d");
  paper.fillStyle = "#fff";
  paper.fillRect(0, 0, canvas.width, canvas.height);
  paper.imageSmoothingQuality = "high";
  paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  return await blob.arrayBuffer();
}
export default {
  render({ model, el }) {
    const area = document.createElement("div");
    area.className = "explorer-drop";
    area.style.cssText = "border:2px dashed var(--jp-border-color1,#999);border-radius:8px;padding:14px;" +
      "text-align:center;color:var(--jp-ui-font-color1)";
    const pick = document.createElement("input");
    Object.assign(pick, { type: "file", webkitdirectory: true, multiple: true, id: "explorer-folder" });
    pick.style.cssText = "position:absolute;width:1px;height:1px;opacity:0";
    const label = document.createElement("label");
    label.htmlFor = pick.id;
    label.textContent = "Drop a folder of photographs here, or choose one";
    label.style.cssText = "cursor:pointer;text-decoration:underline";
    const hint = document.createElement("div");
    hint.textContent = "with one folder per class inside; photographs stay on this machine's server";
    hint.style.cssText = "font-size:90%;opacity:.8";
    area.append(pick, label, hint);
    el.append(area);
    pick.addEventListener("focus", () => (area.style.outline = "3px solid #0072B2"));
    pick.addEventListener("blur", () => (area.style.outline = ""));
    let busy = false;
    async function send(files) {
      if (busy) return;
      busy = true;
      const name = (files[0]?.path || "photographs").split("/")[0];
      const roots = new Set(files.map((file) => file.path.split("/")[0]));
      model.send({ begin: roots.size > 1 ? "photographs" : name, files: files.length, several: roots.size > 1 });
      let at = 0;
      for (const file of files) {
        at += 1;
        try { model.send({ path: file.path, at }, undefined, [await scaled(file, model.get("side"))]); }
        catch (error) {
          const list = /\\.(csv|tsv|txt)$/i.test(file.name) && file.size < 1500000;
          model.send({ path: file.path, at, unreadable: true }, undefined, list ? [await file.arrayBuffer()] : []);
        }
        if (at % 8 === 0) await new Promise((ok) => setTimeout(ok));
      }
      model.send({ end: name });
      busy = false;
    }
    pick.addEventListener("change", () => {
      const files = [...pick.files];
      for (const file of files) file.path = file.webkitRelativePath;
      pick.value = "";
      send(files);
    });
    area.addEventListener("dragover", (event) => {
      event.preventDefault();
      area.style.background = "rgba(0,114,178,.12)";
    });
    area.addEventListener("dragleave", () => (area.style.background = ""));
    area.addEventListener("drop", async (event) => {
      event.preventDefault();
      area.style.background = "";
      const items = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      const found = [];
      for (const item of items) found.push(...(await entries(item)));
      send(found);
    });
  },
};
"""


class PhotoDrop(anywidget.AnyWidget):
    """An area to drop a folder on.

    Args:
        root: folder below which dropped folders are written.
        tell: receives a line of progress.
        done: called with the finished folder.
    """

    _esm = ESM
    side = traitlets.Int(SIDE).tag(sync=True)

    def __init__(self, root: Path, tell: Callable[[str], None], done: Callable[[Path], None]) -> None:
        super().__init__()
        self.root, self._tell, self._done = root, tell, done
        self.folder: Path | None = None
        self.several = False  # whether several folders were dropped at once: they are the classes
        self.unreadable: list[str] = []
        self._expected = self._written = 0
        self.on_msg(lambda _, content, buffers: self.receive(content, buffers))

    def receive(self, content: dict[str, Any], buffers: list[Any]) -> None:
        """Take a message of the browser: the beginning of a folder, one photograph, or the end."""
        if "begin" in content:
            self.several = bool(content.get("several"))
            self._begin(str(content["begin"]), int(content.get("files", 0)))
        elif "path" in content and self.folder is not None:
            self._file(str(content["path"]), buffers, bool(content.get("unreadable")))
            if int(content.get("at", 0)) % 20 == 0:
                self._tell(f"{content['at']:,} of {self._expected:,} photographs ...")
        elif "end" in content and self.folder is not None:
            self._end()

    def _begin(self, name: str, files: int) -> None:
        self.folder, self.unreadable, self._written = None, [], 0
        if files > MOST:
            self._tell(f"{files:,} files; at most {MOST:,} can be dropped. Put the folder below {self.root} instead.")
            return
        self._expected = files
        self.root.mkdir(parents=True, exist_ok=True)
        stem = "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip("-._")[:60] or "photographs"
        for number in range(1, 10_000):  # another visitor may have dropped a folder of that name
            place = self.root / (stem if number == 1 else f"{stem}-{number}")
            with contextlib.suppress(FileExistsError):
                place.mkdir()
                self.folder = place
                break
        self._tell(f"Receiving {files:,} files ...")

    def _file(self, path: str, buffers: list[Any], unreadable: bool) -> None:
        """Write one photograph below the folder, under its own name; anything else is left out."""
        assert self.folder is not None
        parts = PurePosixPath(path).parts
        parts = parts if self.several else parts[1:]  # without the dropped folder itself
        if any(is_system(part) for part in parts):
            return
        listed = is_list(PurePosixPath(path))  # labels.csv and the like come as they are
        if (unreadable and not listed) or not buffers:
            self.unreadable.append(path)
            return
        safe = parts and all(part not in ("", ".", "..", "/") and part.isprintable() for part in parts)
        if not safe or len(parts) > 6 or len(buffers[0]) > LARGEST or self._written >= MOST:
            self.unreadable.append(path)
            return
        target = self.folder.joinpath(*parts)
        if not listed:
            number, stem = 1, target.stem[:120]
            name = f"{stem}.jpg"
            while target.with_name(name).exists():
                number += 1
                name = f"{stem}-{number}.jpg"
            target = target.with_name(name)
        try:
            write_bytes(target, bytes(buffers[0]))
        except (InputError, OSError):
            self.unreadable.append(path)
            return
        self._written += not listed

    def _end(self) -> None:
        folder, self.folder = self.folder, None
        assert folder is not None
        left = f"; {len(self.unreadable):,} files that the browser cannot show were left out" * bool(self.unreadable)
        left += f" (such as {self.unreadable[0]})" if self.unreadable else ""
        if not self._written:
            self._tell(f"No photographs in this folder{left}.")
            return
        self._tell(f"{self._written:,} photographs received{left}.")
        self._done(folder)

    def forget(self, folder: Path) -> None:
        """Delete a dropped folder that is not needed any more."""
        if folder.parent == self.root:
            with contextlib.suppress(OSError, InputError):
                shutil.rmtree(folder)
