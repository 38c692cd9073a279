//! A guide, followed to the letter: its files are written, its commands are run in one shell, and what it says that they
//! print has to be what they print. Only what is another machine's is put in place of what stands there: ports, the
//! database's address, and packages that are installed already.

use sessile_interop::servers::eventually;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// How long a program may take to listen, and a block of commands to run.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between a block's output and its exit code.
const MARK: &str = "--- the end of this block: ";

/// One fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// A file, named by its first line.
    File { name: String, text: String },
    /// Commands.
    Commands(String),
    /// What the commands before it print.
    Printed(String),
}

/// The blocks of a guide, in order. Those in other languages are there to be read.
pub(crate) fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let text: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        let whole = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        match (language, text.first().and_then(|first| first.strip_prefix("// "))) {
            ("js" | "rust", Some(name)) => {
                blocks.push(Block::File { name: name.to_owned(), text: whole(&text[1..]) });
            }
            ("sh", _) => blocks.push(Block::Commands(whole(&text))),
            ("text", _) => blocks.push(Block::Printed(whole(&text))),
            _ => {}
        }
    }
    blocks
}

/// A folder and a shell in it.
pub(crate) struct Reader {
    shell: Child,
    into: ChildStdin,
    out: Lines<BufReader<ChildStdout>>,
    /// What stands in the guide, and what is meant here.
    means: Vec<(String, String)>,
    folder: TempDir,
}

impl Reader {
    pub(crate) fn new(env: &[(&str, String)], means: Vec<(String, String)>) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let programs = Path::new(env!("CARGO_BIN_EXE_peer")).parent().ok_or("a folder of programs")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command.current_dir(folder.path()).env("PATH", format!("{}:{path}", programs.display()));
        command.envs(env.iter().map(|(name, value)| (*name, value)));
        let log = std::fs::File::create(folder.path().join("stderr.log"))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut shell = command.spawn().map_err(|error| format!("bash does not start: {error}"))?;
        let into = shell.stdin.take().ok_or("the shell's input")?;
        let out = BufReader::new(shell.stdout.take().ok_or("the shell's output")?).lines();
        Ok(Self { shell, into, out, means, folder })
    }

    /// The packages of this folder stand for those that `npm install` would bring.
    pub(crate) fn has_packages(&self, of: &Path) -> Outcome {
        let packages = of.join("node_modules");
        if !packages.is_dir() {
            return Err(format!("no packages in {}: run `npm ci --prefix {0}`", of.display()).into());
        }
        Ok(std::os::unix::fs::symlink(packages, self.folder.path().join("node_modules"))?)
    }

    fn meant(&self, text: &str) -> String {
        self.means.iter().fold(text.to_owned(), |text, (stands, meant)| text.replace(stands, meant))
    }

    /// Goes through the guide, and answers how many printed blocks were as they should be.
    pub(crate) async fn follow(&mut self, guide: &str) -> Outcome<usize> {
        let (mut printed, mut checked) = (String::new(), 0);
        for block in blocks(guide) {
            match block {
                Block::File { name, text } => {
                    let path = self.folder.path().join(name);
                    std::fs::create_dir_all(path.parent().ok_or("a file's folder")?)?;
                    std::fs::write(path, self.meant(&text))?;
                }
                Block::Commands(commands) => printed = self.run(&self.meant(&commands)).await?,
                Block::Printed(expected) => {
                    assert_eq!(printed.trim_end(), self.meant(&expected).trim_end(), "{}", self.log());
                    checked += 1;
                }
            }
        }
        Ok(checked)
    }

    /// What a block of commands prints.
    async fn run(&mut self, commands: &str) -> Outcome<String> {
        self.into.write_all(format!("{commands}\nprintf '\\n{MARK}%s\\n' $?\n").as_bytes()).await?;
        let mut printed = String::new();
        let code = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.out.next_line().await? {
                if let Some(code) = line.strip_prefix(MARK) {
                    return Outcome::Ok(code.to_owned());
                }
                printed.push_str(&line);
                printed.push('\n');
            }
            Err("the shell ended".into())
        });
        let code = code.await.map_err(|_| format!("this goes on for too long:\n{commands}"))??;
        if code != "0" {
            return Err(format!("exit code {code} of\n{commands}{printed}{}", self.log()).into());
        }
        for line in commands.lines().filter(|line| line.contains(" & ")) {
            let stands = if line.starts_with("node ") { "127.0.0.1:4000" } else { "127.0.0.1:3000" };
            let address = self.meant(stands);
            let listens = async || TcpStream::connect(&address).await.ok().map(drop);
            let waited = eventually(line, PATIENCE, listens).await;
            waited.map_err(|error| format!("{error}; it said:\n{}", self.log()))?;
        }
        Ok(printed)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr.log")).unwrap_or_default()
    }
}

impl Drop for Reader {
    /// Everything that the guide has started ends with it.
    fn drop(&mut self) {
        let group = self.shell.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = group.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// A page under `docs/guides`.
pub(crate) fn guide(name: &str) -> Outcome<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/guides").join(name);
    Ok(std::fs::read_to_string(path)?)
}

#[test]
fn blocks_are_files_commands_and_what_is_printed() {
    let guide = "# A\n```js\n// a.js\nlet x;\n```\n```sh\necho x\n```\n```text\nx\n```\n```nginx\nno\n```\n";
    let file = Block::File { name: "a.js".to_owned(), text: "let x;\n".to_owned() };
    let expected = [file, Block::Commands("echo x\n".to_owned()), Block::Printed("x\n".to_owned())];
    assert_eq!(blocks(guide), expected);
}
