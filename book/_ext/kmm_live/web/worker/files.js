// SPDX-License-Identifier: GPL-2.0-only
// Put the files of a tar archive where Python finds them: in JavaScript, since Python itself would take half a second.

export const LIBRARY = "/lib/kmm"; // where our packages are; it must stand on Python's path
const BLOCK = 512; // bytes; a tar archive is made of these: one of a file's name and size, then those of its content

/** Unpack into Pyodide's file system; its files are parts of `archive`, which nobody may change from now on. */
export function putFiles(FS, archive) {
  const folders = new Set();
  for (const [name, content] of filesOf(archive)) {
    const path = `${LIBRARY}/${name}`;
    const folder = path.slice(0, path.lastIndexOf("/"));
    if (!folders.has(folder)) FS.mkdirTree(folder);
    folders.add(folder);
    FS.writeFile(path, content, { canOwn: true });
  }
}

function* filesOf(archive) {
  for (let at = 0; at + BLOCK <= archive.length && archive[at]; ) {
    const name = [textAt(archive, at + 345, 155), textAt(archive, at, 100)].filter(Boolean).join("/");
    const size = parseInt(textAt(archive, at + 124, 12), 8);
    yield [name, archive.subarray(at + BLOCK, at + BLOCK + size)];
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
}

/** The text of a field, which ends at a zero or at its length. */
function textAt(archive, at, length) {
  const field = archive.subarray(at, at + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}
