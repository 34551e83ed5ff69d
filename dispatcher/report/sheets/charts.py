"""Native charts as DrawingML: what a spreadsheet program draws itself from the cells of a sheet.

The order of elements is that of the schema (ECMA-376, ``dml-chart.xsd``): Excel repairs a file that has another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from dispatcher.report.sheets.model import Chart, Series
from dispatcher.report.xmlcells import column_letters, text_xml

HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
_CATEGORIES, _VALUES = 111_111_111, 222_222_222  # any two numbers that differ
_QUIET = '<a:ln w="6350"><a:solidFill><a:srgbClr val="D0D0D0"/></a:solidFill></a:ln>'


def drawing_xml(charts: Sequence[Chart]) -> bytes:
    """The drawing that places the charts on their sheet; chart ``n`` is its relation ``rId{n + 1}``."""
    anchors = "".join(_anchor(n, chart) for n, chart in enumerate(charts, 1))
    return (
        f'{HEAD}<xdr:wsDr xmlns:xdr="{_DRAWING}/spreadsheetDrawing" xmlns:a="{_DRAWING}/main">{anchors}</xdr:wsDr>'
    ).encode()


def _anchor(n: int, chart: Chart) -> str:
    (column, row), (width, height) = chart.at, chart.size

    def corner(name: str, column: int, row: int) -> str:
        return (
            f"<xdr:{name}><xdr:col>{column}</xdr:col><xdr:colOff>0</xdr:colOff>"
            f"<xdr:row>{row}</xdr:row><xdr:rowOff>0</xdr:rowOff></xdr:{name}>"
        )

    return (
        f"<xdr:twoCellAnchor>{corner('from', column, row)}{corner('to', column + width, row + height)}"
        f'<xdr:graphicFrame macro=""><xdr:nvGraphicFramePr><xdr:cNvPr id="{n + 1}" name="Chart {n}"/>'
        "<xdr:cNvGraphicFramePr/></xdr:nvGraphicFramePr>"
        '<xdr:xfrm><a:off x="0" y="0"/><a:ext cx="0" cy="0"/></xdr:xfrm>'
        f'<a:graphic><a:graphicData uri="{_DRAWING}/chart">'
        f'<c:chart xmlns:c="{_DRAWING}/chart" xmlns:r="{OFFICE}" r:id="rId{n}"/>'
        "</a:graphicData></a:graphic></xdr:graphicFrame><xdr:clientData/></xdr:twoCellAnchor>"
    )


def chart_xml(chart: Chart, sheet: str) -> bytes:
    """The chart as a part; ``sheet`` is the name of the sheet that its cells are on."""
    grouping, overlap = ("stacked", '<c:overlap val="100"/>') if chart.stacked else ("clustered", "")
    series = "".join(_series(n, each, chart, sheet) for n, each in enumerate(chart.series))
    return (
        f'{HEAD}<c:chartSpace xmlns:c="{_DRAWING}/chart" xmlns:a="{_DRAWING}/main" xmlns:r="{OFFICE}">'
        '<c:roundedCorners val="0"/><c:chart>'
        f'<c:title><c:tx><c:rich><a:bodyPr/><a:p><a:pPr><a:defRPr sz="1200" b="1"/></a:pPr>'
        f'<a:r><a:rPr sz="1200" b="1"/><a:t>{_text(chart.title)}</a:t></a:r></a:p></c:rich></c:tx>'
        '<c:overlay val="0"/></c:title>'
        '<c:autoTitleDeleted val="0"/><c:plotArea><c:layout/>'
        f'<c:barChart><c:barDir val="col"/><c:grouping val="{grouping}"/><c:varyColors val="0"/>{series}'
        f'<c:gapWidth val="60"/>{overlap}<c:axId val="{_CATEGORIES}"/><c:axId val="{_VALUES}"/></c:barChart>'
        f"{_axes(chart)}</c:plotArea>"
        '<c:legend><c:legendPos val="b"/><c:overlay val="0"/></c:legend>'
        '<c:plotVisOnly val="1"/><c:dispBlanksAs val="gap"/></c:chart></c:chartSpace>'
    ).encode()


def _series(n: int, series: Series, chart: Chart, sheet: str) -> str:
    name = _reference(sheet, series.column, chart.heading, chart.heading)
    last = chart.first + len(chart.categories) - 1
    categories = _reference(sheet, chart.category_column, chart.first, last)
    values = _reference(sheet, series.column, chart.first, last)
    fill = f'<a:solidFill><a:srgbClr val="{series.colour}"/></a:solidFill>'
    return (
        f'<c:ser><c:idx val="{n}"/><c:order val="{n}"/>'
        f"<c:tx><c:strRef><c:f>{name}</c:f>{_strings([series.name])}</c:strRef></c:tx>"
        f'<c:spPr>{fill}</c:spPr><c:invertIfNegative val="0"/>'
        f"<c:cat><c:strRef><c:f>{categories}</c:f>{_strings(chart.categories)}</c:strRef></c:cat>"
        f"<c:val><c:numRef><c:f>{values}</c:f>{_numbers(series.values)}</c:numRef></c:val></c:ser>"
    )


def _axes(chart: Chart) -> str:
    around = '<c:majorTickMark val="none"/><c:minorTickMark val="none"/><c:tickLblPos val="nextTo"/>'
    line = f"<c:spPr>{_QUIET}</c:spPr>"
    return (
        f'<c:catAx><c:axId val="{_CATEGORIES}"/><c:scaling><c:orientation val="minMax"/></c:scaling>'
        f'<c:delete val="0"/><c:axPos val="b"/><c:numFmt formatCode="General" sourceLinked="0"/>{around}{line}'
        f'<c:crossAx val="{_VALUES}"/><c:crosses val="autoZero"/><c:auto val="1"/><c:lblAlgn val="ctr"/>'
        '<c:lblOffset val="100"/><c:noMultiLvlLbl val="0"/></c:catAx>'
        f'<c:valAx><c:axId val="{_VALUES}"/><c:scaling><c:orientation val="minMax"/></c:scaling>'
        f'<c:delete val="0"/><c:axPos val="l"/><c:majorGridlines>{line}</c:majorGridlines>'
        f'<c:numFmt formatCode="{_text(chart.number_format)}" sourceLinked="0"/>{around}{line}'
        f'<c:crossAx val="{_CATEGORIES}"/><c:crosses val="autoZero"/><c:crossBetween val="between"/></c:valAx>'
    )


def _reference(sheet: str, column: int, first: int, last: int) -> str:
    letters, name = column_letters(column), _text(sheet.replace("'", "''"))
    end = f":${letters}${last}" if last != first else ""
    return f"'{name}'!${letters}${first}{end}"


def _strings(values: Sequence[str]) -> str:
    return f"<c:strCache>{''.join(_points(values))}</c:strCache>"


def _numbers(values: Sequence[int | Decimal | None]) -> str:
    points = _points([None if value is None else format(Decimal(value), "f") for value in values])
    return f"<c:numCache><c:formatCode>General</c:formatCode>{''.join(points)}</c:numCache>"


def _points(values: Sequence[str | None]) -> Iterator[str]:
    yield f'<c:ptCount val="{len(values)}"/>'
    for n, value in enumerate(values):
        if value is not None:
            yield f'<c:pt idx="{n}"><c:v>{_text(value)}</c:v></c:pt>'


def _text(text: str) -> str:
    return text_xml(text).replace('"', "&quot;")
