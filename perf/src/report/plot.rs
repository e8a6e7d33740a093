//! Line plots as SVG.

/// One line of a plot.
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;

/// A plot over seconds. With `logarithmic`, values below the smallest step are drawn on the axis.
pub fn plot(lines: &[Line], unit: &str, logarithmic: bool) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let x_max = points().map(|point| point.0).fold(1.0, f64::max);
    let y_max = points().map(|point| point.1).fold(0.0, f64::max).max(1.0);
    let y_min = points().map(|point| point.1).filter(|y| *y > 0.0).fold(y_max, f64::min);
    let ticks = if logarithmic { decades(y_min, y_max) } else { steps(y_max) };
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let scale = |value: f64| if logarithmic { value.max(low).log10() } else { value };
    let x = |seconds: f64| LEFT + seconds / x_max * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| {
        let part = (scale(value) - scale(low)) / (scale(high) - scale(low));
        HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
    };
    let mut svg = format!("<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img'>");
    for tick in &ticks {
        let (at, right, text_at) = (y(*tick), WIDTH - RIGHT, LEFT - 8.0);
        svg.push_str(&format!(
            "<line class='grid' x1='{LEFT}' x2='{right}' y1='{at:.1}' y2='{at:.1}'/>\
             <text x='{text_at}' y='{:.1}' text-anchor='end'>{}</text>",
            at + 4.0,
            short(*tick)
        ));
    }
    for tick in steps(x_max) {
        if tick <= x_max {
            svg.push_str(&format!(
                "<text x='{:.1}' y='{:.1}' text-anchor='middle'>{} s</text>",
                x(tick),
                HEIGHT - BOTTOM + 18.0,
                short(tick)
            ));
        }
    }
    for (index, line) in lines.iter().enumerate() {
        let path: Vec<_> = line.points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        svg.push_str(&format!("<polyline class='line c{}' points='{}'/>", index % 6, path.join(" ")));
        for (seconds, value) in &line.points {
            svg.push_str(&format!(
                "<circle class='dot c{}' cx='{:.1}' cy='{:.1}' r='3'>\
                 <title>{}: {} {unit} at {seconds:.0} s</title></circle>",
                index % 6,
                x(*seconds),
                y(*value),
                super::html::escape(&line.name),
                super::number(*value)
            ));
        }
    }
    svg.push_str("</svg><p class='legend'>");
    for (index, line) in lines.iter().enumerate() {
        svg.push_str(&format!("<span><i class='c{}'></i>{}</span>", index % 6, super::html::escape(&line.name)));
    }
    svg + &format!("<span>in {unit}</span></p>")
}

/// Round steps from zero to at least `max`.
fn steps(max: f64) -> Vec<f64> {
    let rough = max / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough).unwrap_or(10.0);
    let step = factor * power;
    (0..=(max / step).ceil() as usize).map(|index| index as f64 * step).collect()
}

/// Powers of ten around the values, two at least.
fn decades(min: f64, max: f64) -> Vec<f64> {
    let (first, last) = (min.log10().floor() as i32, max.log10().ceil() as i32);
    (first..=last.max(first + 1)).map(|power| 10f64.powi(power)).collect()
}

fn short(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{}M", super::number(value / 1e6)),
        _ if value >= 1e4 => format!("{}k", super::number(value / 1e3)),
        _ => super::number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_round_and_hold_all_values() {
        assert_eq!(steps(10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(steps(1_234.0).last(), Some(&1_500.0));
        assert_eq!(decades(30.0, 900.0), [10.0, 100.0, 1_000.0]);
        assert_eq!(decades(10.0, 10.0), [10.0, 100.0]);
    }

    #[test]
    fn a_plot_is_xml_whatever_the_values() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(1.0, 5.0), (2.0, 5e9)]] {
            for logarithmic in [false, true] {
                let line = Line { name: "a<b".to_owned(), points: points.clone() };
                let svg = plot(&[line], "us", logarithmic);
                assert!(roxmltree::Document::parse(&format!("<div>{svg}</div>")).is_ok(), "{svg}");
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }
}
