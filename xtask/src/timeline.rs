//! A run of the lab as a picture: who had the machine, and for how long.

use std::fmt::Write as _;
use std::time::Duration;

/// Width of the bars in pixels.
const WIDTH: f64 = 760.0;

/// A stretch of time, drawn as a bar with its label.
pub struct Bar {
    /// What the machine did.
    pub label: String,
    /// Its end, from the start of the run.
    pub end: Duration,
    /// The fill, readable on light and dark pages.
    pub fill: &'static str,
}

/// One line of bars with a legend below it; self-contained SVG.
pub fn svg(title: &str, bars: &[Bar]) -> String {
    let total = bars.last().map_or(1.0, |bar| bar.end.as_secs_f64());
    let height = 70 + 22 * bars.len();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 {height}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<title>{}</title>\n\
         <rect width=\"800\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"20\" y=\"20\" font-weight=\"bold\" fill=\"#222222\">{}</text>\n",
        escaped(title),
        escaped(title)
    );
    let mut start = 0.0;
    for (row, bar) in bars.iter().enumerate() {
        let end = bar.end.as_secs_f64();
        let (x, width) = (20.0 + start / total * WIDTH, (end - start) / total * WIDTH);
        let y = 72 + 22 * row;
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"30\" width=\"{width:.1}\" height=\"24\" fill=\"{fill}\"/>\n\
             <rect x=\"20\" y=\"{box_y}\" width=\"12\" height=\"12\" fill=\"{fill}\"/>\n\
             <text x=\"40\" y=\"{y}\" fill=\"#222222\">{seconds:.1} s  {label}</text>",
            fill = bar.fill,
            box_y = y - 11,
            seconds = end - start,
            label = escaped(&bar.label),
        );
        start = end;
    }
    out.push_str("</svg>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_the_width_and_text_is_escaped() {
        let bar = |label: &str, seconds| Bar {
            label: label.to_owned(),
            end: Duration::from_secs(seconds),
            fill: "#123456",
        };
        let picture = svg("a <b>", &[bar("one", 5), bar("two & three", 20)]);
        assert!(picture.contains("a &lt;b&gt;"));
        assert!(picture.contains("two &amp; three"));
        assert!(picture.contains("width=\"190.0\"") && picture.contains("width=\"570.0\""));
        assert!(picture.contains("15.0 s  two"));
    }
}
