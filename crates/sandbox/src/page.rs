//! The frame of every page: one style for all stand-ins. Plain HTML, no script, light and dark, fit for a phone.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = "
:root { color-scheme: light dark; --line: light-dark(#d5d7dd, #3a3d46); --soft: light-dark(#5b606b, #a3a8b4);
  --card: light-dark(#fff, #1b1d23); --page: light-dark(#f4f5f7, #111318); --main: light-dark(#2448d8, #8ba2ff);
  --on-main: light-dark(#fff, #10131c); }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--page);
  font: 16px/1.5 system-ui, sans-serif }
main { width: 100%; min-width: 0; max-width: 26rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.75rem }
main.wide { max-width: 46rem }
h1 { font-size: 1.3rem; margin: 0 0 .5rem } h2 { font-size: 1rem; margin: 1.5rem 0 .5rem }
p, li { color: var(--soft) } p { margin: .4rem 0 1rem } ul { padding-left: 1.2rem }
.note { font-size: .85rem } code { font-size: .9em }
button { font: inherit; width: 100%; padding: .7rem 1rem; margin: .3rem 0; border-radius: 10px; cursor: pointer;
  border: 1px solid var(--line); background: transparent; color: inherit; text-align: left }
button.main { background: var(--main); border-color: var(--main); color: var(--on-main); font-weight: 600;
  text-align: center }
button.quiet { border-color: transparent; text-align: center; color: var(--soft) }
button:focus-visible { outline: 3px solid var(--main); outline-offset: 2px }
button.danger { text-align: center }
input, select { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--line);
  border-radius: 8px; padding: .45rem .6rem; width: 100% }
label { display: block; font-size: .85rem; color: var(--soft) }
.fields { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .6rem; margin: .6rem 0 }
.sum { color: inherit; font-size: 2rem; font-weight: 650; margin: .2rem 0 1rem; font-variant-numeric: tabular-nums }
.scroll { overflow-x: auto } details { margin: .3rem 0 } summary { cursor: pointer }
code { overflow-wrap: anywhere } pre { overflow-x: auto; font-size: .8rem }
.problem { color: light-dark(#b3261e, #ff9a92) } .fields .wide { grid-column: 1 / -1 }
video { width: 100%; border-radius: 10px }
table { width: 100%; border-collapse: collapse } td, th { text-align: left; padding: .3rem 0;
  border-bottom: 1px solid var(--line) } td:last-child { text-align: right; font-variant-numeric: tabular-nums }
";

/// A whole document around `content`. `class` is empty, or `wide` for tables.
pub(crate) fn page(title: &str, class: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main class=(class) { (content) } }
        }
    }
}
