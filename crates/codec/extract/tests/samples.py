"""Makes the files of the tests in the directory that is named."""

import gzip
import io
import os
import sys
import tarfile
import zipfile
import zlib

where = sys.argv[1]


def write(name, data):
    with open(os.path.join(where, name), "wb") as file:
        file.write(data)


def packed(files, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return out.getvalue()


TYPES = ("[Content_Types].xml", "<Types/>")
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
CORE = (
    '<cp:coreProperties xmlns:cp="c" xmlns:dc="d"><dc:title>Blue moon</dc:title>'
    "<dc:creator>Ann Author</dc:creator><cp:keywords>strictly internal</cp:keywords>"
    "</cp:coreProperties>"
)
CUSTOM = (
    '<Properties xmlns:vt="v"><property fmtid="{1}" pid="2" name="Department">'
    "<vt:lpwstr>Research &amp; more</vt:lpwstr></property></Properties>"
)
docx = packed([
    TYPES,
    ("word/document.xml", f'<?xml version="1.0"?><w:document {W}><w:body><w:p><w:r><w:t>Top se</w:t></w:r>'
     "<w:r><w:t>cret</w:t></w:r><w:r><w:tab/><w:t>pl\u00e4n &lt;1&gt;</w:t></w:r></w:p>"
     "<w:p><w:r><w:t>second</w:t></w:r></w:p></w:body></w:document>"),
    ("word/header1.xml", f"<w:hdr {W}><w:p><w:r><w:t>in the header</w:t></w:r></w:p></w:hdr>"),
    ("word/styles.xml", f"<w:styles {W}><w:t>never seen</w:t></w:styles>"),
    ("docProps/core.xml", CORE),
    ("docProps/custom.xml", CUSTOM),
])
write("a.docx", docx)
xlsx = packed([
    TYPES,
    ("xl/workbook.xml", '<workbook><sheets><sheet name="Salaries" sheetId="1"/></sheets></workbook>'),
    ("xl/sharedStrings.xml", "<sst><si><t>Annual</t></si><si><r><t>pay</t></r><r><t>roll</t></r></si></sst>"),
    ("xl/worksheets/sheet1.xml",
     '<worksheet><sheetData><row><c r="A1" t="s"><v>1</v></c><c r="B1"><v>48000.5</v></c>'
     '<c r="C1" t="inlineStr"><is><t>inline</t></is></c></row></sheetData></worksheet>'),
])
write("a.xlsx", xlsx)
write("a.pptx", packed([
    TYPES,
    ("ppt/slides/slide1.xml", '<p:sld xmlns:a="a" xmlns:p="p"><a:p><a:r><a:t>Merger of</a:t></a:r>'
     "<a:br/><a:r><a:t>equals</a:t></a:r></a:p></p:sld>"),
    ("ppt/notesSlides/notesSlide1.xml", '<p:notes xmlns:a="a" xmlns:p="p"><a:t>say it slowly</a:t></p:notes>'),
    ("ppt/embeddings/Microsoft_Excel_Sheet.xlsx", xlsx),
]))
OFFICE = 'xmlns:office="o" xmlns:text="t" xmlns:dc="d" xmlns:meta="m"'
ODT = ("mimetype", "application/vnd.oasis.opendocument.text")
CONTENT = (
    f"<office:document-content {OFFICE}><office:body><office:text><text:h>Heading</text:h>"
    "<text:p>Open<text:span>ly</text:span><text:s/>secret<text:tab/>plan</text:p>"
    "</office:text></office:body></office:document-content>"
)
META = (
    f"<office:document-meta {OFFICE}><office:meta><dc:title>Free</dc:title>"
    '<meta:user-defined meta:name="Client">ACME</meta:user-defined></office:meta></office:document-meta>'
)
write("a.odt", packed([ODT, ("content.xml", CONTENT), ("meta.xml", META)]))
write("sealed.odt", packed([
    ODT,
    ("content.xml", os.urandom(100)),
    ("META-INF/manifest.xml", "<manifest:manifest><manifest:file-entry><manifest:encryption-data/>"
     "</manifest:file-entry></manifest:manifest>"),
]))


def pdf(objects, trailer=b"<< /Root 1 0 R /Info 9 0 R >>"):
    out = b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n"
    for number, body in objects:
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    return out + b"trailer\n" + trailer + b"\nstartxref\n0\n%%EOF\n"


def stream(data, more=b"", deflated=True):
    if deflated:
        data = zlib.compress(data)
        more += b" /Filter /FlateDecode"
    return b"<< /Length %d %s >>\nstream\n" % (len(data), more) + data + b"\nendstream"


PAGE = b"<< /Type /Page /Parent 2 0 R /Contents %s /Resources << /Font << /F1 5 0 R /F2 6 0 R >> >> >>"
CMAP = b"""/CIDInit /ProcSet findresource begin 12 dict begin begincmap
1 begincodespacerange <0000> <FFFF> endcodespacerange
2 beginbfchar <0001> <0053> <0002> <0065> endbfchar
1 beginbfrange <0010> <0014> <0063> endbfrange
endcmap end end"""
TEXT = (
    b"BT /F1 12 Tf 72 700 Td (Quarterly) Tj 0 -14 Td [(re) 20 (sults) -300 (are)] TJ\n"
    b"T* (f\\374r \\(uns\\)) Tj ET BT /F2 12 Tf 1 0 0 1 72 600 Tm <00010002001000140002> Tj ET"
)
objects = [
    (1, b"<< /Type /Catalog /Pages 2 0 R >>"),
    (2, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"),
    (3, PAGE % b"[4 0 R]"),
    (4, stream(TEXT)),
    (5, b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"),
    (6, b"<< /Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 7 0 R >>"),
    (7, stream(CMAP)),
    (9, b"<< /Title (Results) /Author <FEFF0041006E006E> /CreationDate (D:2026) >>"),
]
write("a.pdf", pdf(objects))
write("plain.pdf", pdf([(n, stream(TEXT, deflated=False)) if n == 4 else (n, b) for n, b in objects]))
inner = b"3 0 5 %d " % (len(PAGE % b"4 0 R") + 1)
inner = inner.ljust(20)
inner += PAGE % b"4 0 R" + b" " + objects[4][1]
held = b"/Type /ObjStm /N 2 /First 20"
write("objects.pdf", pdf([o for o in objects if o[0] not in (3, 5)] + [(10, stream(inner, held))]))
write("sealed.pdf", pdf(objects, b"<< /Root 1 0 R /Encrypt 8 0 R >>"))
attached = [(11, stream(docx, b"/Type /EmbeddedFile"))]
write("attached.pdf", pdf(objects + attached))
# A page that is below itself, contents that are themselves, and a form in a circle.
circle = [
    (1, b"<< /Type /Page /Parent 1 0 R /Contents 2 0 R /Resources 3 0 R >>"),
    (2, b"2 0 R"),
    (3, b"<< /Font 3 0 R /F1 3 0 R >>"),
    (4, b"[4 0 R [4 0 R]]"),
    (5, stream(b"/F1 Tf (round) Tj", b"/Subtype /Form /Resources 3 0 R")),
]
write("circle.pdf", pdf(circle))
# One stream that is shown by ten thousand pages, and is packed to a thousandth.
large = stream(b"(abcdefgh) Tj " * 500_000)
pages = [(n, b"<< /Type /Page /Contents 2 0 R >>") for n in range(10, 10_010)]
write("bomb.pdf", pdf([(2, large)] + pages))

write("a.zip", packed([("notes/a.txt", "in the archive"), ("b.docx", docx), ("c.html", "<p>mark<b>up</b></p>")]))
write("program.zip", packed([("readme.txt", "read me"), ("setup.dat", b"MZ\x90\0\x03\0\0\0")]))
write("named.zip", packed([("invoice.pdf.exe", "not really")]))
sealed = bytearray(packed([("secret.txt", "behind a password")]))
for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
    sealed[sealed.index(magic) + place] |= 1
write("sealed.zip", bytes(sealed))
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w:gz") as archive:
    for name, data in (("x" * 120 + "/long.txt", b"in the tar"), ("run.sh.exe", b"no"), ("d.docx", docx)):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
write("a.tgz", out.getvalue())
write("a.txt.gz", gzip.compress(b"once ") + gzip.compress(b"twice"))
write("zeros.gz", gzip.compress(bytes(100 << 20)))
write("bomb.zip", packed([("%d.txt" % n, bytes(50 << 20)) for n in range(4)]))
nested = b"PK is what it begins with, too"
for depth in range(10):
    nested = packed([("deeper.zip", nested), ("level%d.txt" % depth, "level %d" % depth)])
write("nested.zip", nested)
write("many.zip", packed([("%d.txt" % n, "x") for n in range(3_000)]))
# All entries of the directory point at one file, as in 42.zip's successors.
one = packed([("a.txt", bytes(1 << 20))])
begin, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
entry, tail = one[begin:end], bytearray(one[end:])
tail[8:12] = (2_000).to_bytes(2, "little") * 2
tail[12:16] = (2_000 * len(entry)).to_bytes(4, "little")
write("overlap.zip", one[:begin] + entry * 2_000 + bytes(tail))
laughs = '<!DOCTYPE d [<!ENTITY a "ha">' + "".join(
    '<!ENTITY %s "%s">' % (chr(b), ("&%s;" % chr(b - 1)) * 10) for b in range(98, 108)) + "]>"
write("laughs.docx", packed([TYPES, ("word/document.xml", laughs + f"<w:p {W}><w:t>&k;once</w:t></w:p>")]))
write("a.rtf", (
    b"{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0 Arial;}}{\\info{\\title Rich}{\\author Ann}}"
    b"\\pard Se{\\b cre}t\\par\n pl\\'e4n \\u8364?5 \\{x\\}{\\*\\generator hidden;}{\\pict 0102}\\par}"
))
