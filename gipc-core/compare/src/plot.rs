//! The picture of the table: a row a workload, a mark a contender, to a logarithmic scale.

use crate::{Cells, Row};
use plotters::prelude::*;
use std::path::Path;

type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn draw(
    path: &Path,
    names: &[&str],
    shown: &[&Row],
    table: &[Cells],
) -> Result<(), Failure> {
    let all = table.iter().flatten().flatten().copied();
    let (least, most) = all.fold((0.5_f64, 2.0_f64), |(a, b), ratio| (a.min(ratio), b.max(ratio)));
    let root = SVGBackend::new(path, (860, 640)).into_drawing_area();
    root.fill(&WHITE)?;
    let rows = shown.len() as f64;
    let mut chart = ChartBuilder::on(&root)
        .caption("Processor time of both sides, raw pipe = 1 (less is better)", ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(180)
        .build_cartesian_2d((least * 0.8..most * 1.3).log_scale(), 0.0..rows)?;
    let label = |y: &f64| {
        let row = shown.iter().rev().nth(*y as usize);
        row.filter(|_| y.fract() == 0.5).map(|row| row.name.to_owned()).unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(2 * shown.len() + 1)
        .y_label_formatter(&label)
        .x_label_formatter(&|x| format!("{x}"))
        .draw()?;
    chart.draw_series(LineSeries::new([(1.0, 0.0), (1.0, rows)], BLACK.stroke_width(1)))?;
    for (place, name) in names.iter().enumerate() {
        let colour = Palette99::pick(place).to_rgba();
        let marks = table.iter().enumerate().filter_map(|(row, ratios)| {
            let y = rows - 0.5 - row as f64;
            ratios[place].map(|ratio| Circle::new((ratio, y), 5, colour.filled()))
        });
        chart
            .draw_series(marks)?
            .label(*name)
            .legend(move |(x, y)| Circle::new((x + 8, y), 5, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}
