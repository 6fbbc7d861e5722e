//! Bars as an SVG picture.

use super::table::short;

/// One bar.
pub(crate) struct Bar {
    /// Bars of a group stand together and share a scale.
    pub group: &'static str,
    /// What it is about.
    pub name: String,
    /// How long it is.
    pub value: f64,
}

/// The picture, in colours that both a light and a dark page show.
pub(crate) fn svg(bars: &[Bar]) -> String {
    let (mut body, mut y, mut group) = (String::new(), 0, "");
    for bar in bars.iter().filter(|bar| bar.value.is_finite()) {
        if bar.group != group {
            group = bar.group;
            y += 34;
            body += &format!("<text x=\"10\" y=\"{y}\" class=\"head\">{}, deliveries/s</text>\n", bar.group);
            y += 8;
        }
        let most = bars.iter().filter(|other| other.group == group && other.value.is_finite());
        let most = most.map(|other| other.value).fold(1.0, f64::max);
        let (width, end) = ((bar.value / most * LENGTH).max(1.0), y + 13);
        let colour = match bar.name.split_whitespace().next() {
            Some("TopChat,") => "#d9730d",
            // No server that anybody could use.
            Some("bare") => "#8a8a8a",
            _ => "#5b8db8",
        };
        body += &format!("<text x=\"10\" y=\"{end}\">{}</text>\n", bar.name);
        body += &format!("<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.0}\" height=\"16\" fill=\"{colour}\"/>\n");
        body += &format!("<text x=\"{:.0}\" y=\"{end}\">{}</text>\n", f64::from(LEFT) + width + 6.0, short(bar.value));
        y += 20;
    }
    let height = y + 16;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>text {{ fill: #777 }} .head {{ font-weight: bold; font-size: 14px }}</style>\n{body}</svg>\n"
    )
}

const LEFT: i32 = 240;
const LENGTH: f64 = 440.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_of_each_group_fills_it() {
        let bar = |group, value| Bar { group, name: "x".to_owned(), value };
        let svg = svg(&[bar("a", 10.0), bar("a", 5.0), bar("b", 1e6), bar("b", f64::NAN)]);
        let widths: Vec<_> = svg.split("<rect").skip(1).map(|rect| rect.split('"').nth(5).unwrap()).collect();
        assert_eq!(widths, ["440", "220", "440"]);
    }
}
