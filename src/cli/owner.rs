//! `lfdns owner …`: the keys that sign. They lie in `HOME/owners` and never leave it unless exported.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::json;
use zeroize::Zeroizing;

use super::Cx;
use super::fail::Done;
use super::prompt::{confirmed, new_passphrase};
use crate::node::owners::{fresh, write_secret};
use crate::record::Owner;

/// Owners: the keys that sign records.
///
/// A key lies in HOME/owners/NAME.pem, readable by its user alone, and signs in this process; no command
/// sends it anywhere. Where an owner is asked for, write its local name or @ and its public key.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make an owner.
    New(New),
    /// List the owners of this home.
    List,
    /// Show one owner: its public key and what this network knows of it.
    Status(One),
    /// Show or set the owner that signs when none is named.
    Default(One),
    /// Give an owner another local name; its key stays the same.
    Rename {
        /// Its name now.
        from: String,
        /// Its name from now on.
        to: String,
    },
    /// Delete an owner's secret key from this home, for ever.
    Delete {
        /// Its local name.
        name: String,
        /// Do not ask.
        #[arg(long)]
        force: bool,
    },
    /// Read a key: PKCS#8 PEM as openssl makes it, or LF's own form.
    Import {
        /// The name it gets here.
        name: String,
        /// The file; - is stdin.
        file: PathBuf,
    },
    /// Write an owner's secret key out. Whoever has it is the owner.
    Export(Export),
}

/// What `owner new` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// Its local name.
    name: String,
    /// Derive the key from a passphrase (asked for, or the first line of stdin): the same passphrase gives the
    /// same owner anywhere.
    #[arg(long)]
    passphrase: bool,
}

/// A command about one owner.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// Local name, or @key; the default owner if left out.
    #[arg(value_name = "OWNER")]
    who: Option<String>,
}

/// What `owner export` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Its local name.
    name: String,
    /// A new file for it, readable by you alone; without it, stdout.
    file: Option<PathBuf>,
    /// In LF's form, for LF's own clients.
    #[arg(long)]
    lf: bool,
}

pub(crate) fn run(command: Command, cx: &Cx) -> anyhow::Result<Done> {
    match command {
        Command::New(args) => new(&args, cx),
        Command::List => list(cx),
        Command::Status(one) => super::status::owner(one.who.as_deref(), cx),
        Command::Default(one) => default(one.who, cx),
        Command::Rename { from, to } => {
            cx.owners().rename(&from, &to)?;
            said(cx, &to, &format!("{from} is now called {to}"))
        }
        Command::Delete { name, force } => delete(&name, force, cx),
        Command::Import { name, file } => import(&name, &file, cx),
        Command::Export(args) => export(&args, cx),
    }
}

fn new(args: &New, cx: &Cx) -> anyhow::Result<Done> {
    let owner = if args.passphrase { Owner::from_passphrase(&new_passphrase()?)? } else { fresh()? };
    cx.owners().add(&args.name, &owner)?;
    said(cx, &args.name, "")
}

fn list(cx: &Cx) -> anyhow::Result<Done> {
    let owners = cx.owners();
    let (list, default) = (owners.list()?, owners.default_name()?);
    let is_default = |name: &str| default.as_deref() == Some(name);
    let json = || {
        list.iter()
            .map(|(name, key)| json!({"name": name, "owner": key.to_string(), "default": is_default(name)}))
            .collect()
    };
    let text = || {
        let rows: Vec<Vec<String>> = list
            .iter()
            .map(|(name, key)| {
                vec![
                    key.to_string(),
                    name.clone(),
                    if is_default(name) { "default".into() } else { String::new() },
                ]
            })
            .collect();
        super::out::table(&rows)
    };
    if list.is_empty() {
        cx.out.note("no owner here yet; `lfdns owner new NAME` makes one");
    }
    cx.out.result(json, text)?;
    Ok(Done::Well)
}

fn default(name: Option<String>, cx: &Cx) -> anyhow::Result<Done> {
    let owners = cx.owners();
    let name = match name {
        Some(text) if text.starts_with('@') => {
            owners.name_of(&text.parse()?)?.with_context(|| format!("{text} is not an owner of this home"))?
        }
        Some(name) => name,
        None => {
            let name =
                owners.default_name()?.context("no default owner; `lfdns owner default NAME` sets one")?;
            return said(cx, &name, "");
        }
    };
    owners.set_default(&name)?;
    said(cx, &name, &format!("{name} signs from now on unless another is named"))
}

fn delete(name: &str, force: bool, cx: &Cx) -> anyhow::Result<Done> {
    let key = cx.owners().load(name)?.key();
    let question = format!("Delete {name} ({key})? Nobody can change its records without the key.");
    if !force && !confirmed(&question)? {
        bail!("not deleted; `lfdns owner export {name} FILE` keeps a copy");
    }
    cx.owners().delete(name)?;
    cx.out.result(|| json!({"name": name, "owner": key.to_string()}), || format!("deleted {name} {key}"))?;
    Ok(Done::Well)
}

fn import(name: &str, file: &std::path::Path, cx: &Cx) -> anyhow::Result<Done> {
    let mut text = Zeroizing::new(String::new());
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        *text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    }
    let owner = Owner::from_pem(&text).with_context(|| file.display().to_string())?;
    cx.owners().add(name, &owner)?;
    said(cx, name, "")
}

fn export(args: &Export, cx: &Cx) -> anyhow::Result<Done> {
    let owner = cx.owners().load(&args.name)?;
    let pem = if args.lf { owner.to_lf_pem() } else { owner.to_pem() };
    let Some(file) = &args.file else {
        cx.out.result(
            || json!({"name": args.name, "owner": owner.key().to_string(), "pem": pem.as_str()}),
            || pem.as_str().to_owned(),
        )?;
        return Ok(Done::Well);
    };
    write_secret(file, pem.as_bytes())?;
    said(cx, &args.name, &format!("wrote the secret key of {} to {}", args.name, file.display()))
}

/// The usual result: an owner's name and key, or a sentence about them.
fn said(cx: &Cx, name: &str, sentence: &str) -> anyhow::Result<Done> {
    let key = cx.owners().load(name)?.key();
    cx.out.result(
        || json!({"name": name, "owner": key.to_string()}),
        || if sentence.is_empty() { format!("{key}  {name}") } else { sentence.to_owned() },
    )?;
    Ok(Done::Well)
}
