"""Zip archives of tensors and arrays, which torch and numpy write uncompressed, and which may come from anybody."""

import zipfile

from probatum.errors import InvalidInput


def require_stored(archive: zipfile.ZipFile, size: int) -> None:
    """Makes sure that reading an archive takes no more memory than its file has bytes.

    Args:
        archive: of any kind.
        size: bytes of its file.

    Raises:
        InvalidInput: an entry is compressed, or entries share bytes: either may stand for any amount of data.
    """
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise InvalidInput("the archive is compressed, as those of torch.save and numpy.savez are not")
    if sum(entry.file_size for entry in entries) > size:
        raise InvalidInput("the archive claims to hold more than its own size")
