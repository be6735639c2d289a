"""How the report looks: light, plain, printable."""

CSS = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem 1.2rem 4rem; background: #fff; color: #222;
  font: 16px/1.5 Georgia, "Times New Roman", serif; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
a { color: #005a9c; } nav ul { columns: 18rem; padding-left: 1.2rem; } li { overflow-wrap: anywhere; }
figure { margin: 0; } figure svg { display: block; max-width: 100%; height: auto; margin: 0 auto .6rem; }
figcaption { font-size: .9rem; max-width: 48rem; margin: 0 auto; overflow-wrap: anywhere; }
.note { border-left: 4px solid #b03a00; padding-left: .7rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .82rem; line-height: 1.35; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid #ddd;
  font-weight: normal; overflow-wrap: break-word; }
thead th, tr.claim th, tr.claim td { font-weight: bold; } thead th { border-bottom: 1px solid #222; }
tr.part th { padding-left: 1.4rem; } small { color: #595959; }
code, pre { font: .8rem/1.4 "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f6; padding: .6rem; margin: .3rem 0; }
@page { size: A4; margin: 14mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; } a { color: inherit; }
  .page { break-before: page; } h2, h3 { break-after: avoid; } figure, tr { break-inside: avoid; }
  thead { display: table-header-group; } .wide { overflow: visible; } table { font-size: 7.5pt; }
  code, pre { font-size: 7pt; } pre { background: none; padding: 0; }
}
""".strip()
