//! Secrets that lie outside of the rules, resolved at the edge: `file:` and `env:` become HA1 for the realm that is the domain's name.
//! (`ha1:` and `plain:` stand in the rules and are [`credentials`].) One that can't be is a warning, and only its device is off. No secret is in a message of this file.

use crate::registrar::digest::Ha1;
use crate::rules::compile::Secrets;
use crate::rules::model::{Auth, SecretRef};
use crate::rules::{Domain, credentials};
use crate::sip::challenge::Secret;
use std::path::{Component, Path};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest secret; a file with more is not one.
pub const SECRET_BYTES_MAX: u64 = 4096;

/// The secrets of a domain, and a line for each that could not be resolved.
pub struct Resolved {
    pub secrets: Secrets,
    pub warnings: Vec<String>,
}

/// Those of a domain that are not in the rules themselves. `base`: the directory that `file:` starts at.
#[must_use]
pub fn resolve(domain: &Domain, base: Option<&Path>) -> Resolved {
    let mut resolved = Resolved { secrets: Secrets::default(), warnings: Vec::new() };
    for (name, auth) in domain.outside_secrets() {
        match one(auth, domain.name(), base) {
            Ok(ha1) => {
                resolved.secrets.devices.insert(name.clone(), ha1);
            }
            Err(why) => resolved.warnings.push(format!(
                "{}: the secret of device {name} can't be resolved: {why}; until it can, this phone can't register",
                domain.secret_place(name).map(|place| place.to_string()).unwrap_or_default()
            )),
        }
    }
    for trunk in domain.trunks() {
        of_trunk(&mut resolved, domain, &trunk.name, base);
    }
    resolved
}

fn of_trunk(resolved: &mut Resolved, domain: &Domain, name: &Arc<str>, base: Option<&Path>) {
    if let Some(registration) = domain.registration(name)
        && credentials::own_secret(&registration.secret.value).is_none()
    {
        match password(&registration.secret.value, base) {
            Ok(password) => {
                resolved.secrets.registrations.insert(name.clone(), Secret::Password(password));
            }
            Err(why) => resolved.warnings.push(format!(
                "{}: the secret of trunk {name} can't be resolved: {why}; until it can, we don't register there",
                domain.place(registration.secret.span)
            )),
        }
    }
    if let Some(auth) = domain.trunk_auth(name)
        && credentials::own(auth, domain.name()).is_none()
    {
        match one(auth, domain.name(), base) {
            Ok(ha1) => {
                resolved.secrets.trunks.insert(name.clone(), ha1);
            }
            Err(why) => resolved.warnings.push(format!(
                "{}: the secret of trunk {name} can't be resolved: {why}; until it can, no call comes in by its credentials",
                domain.place(auth.secret.span)
            )),
        }
    }
}

fn one(auth: &Auth, realm: &str, base: Option<&Path>) -> Result<Ha1, String> {
    match credentials::own(auth, realm) {
        Some(ha1) => Ok(ha1),
        None => Ok(credentials::of_password(auth, realm, &password(&auth.secret.value, base)?)),
    }
}

/// The password that lies outside of the rules.
fn password(secret: &SecretRef, base: Option<&Path>) -> Result<Zeroizing<String>, String> {
    let password = match secret {
        SecretRef::Env(name) => {
            Zeroizing::new(std::env::var(name).map_err(|_| format!("the environment has no {name}"))?)
        }
        SecretRef::File(path) => from_file(path, base)?,
        SecretRef::Masked => {
            return Err("`plain:***` stands for a secret that is already here, and there is none".into());
        }
        // What stands in the rules is asked for there; only one that is empty comes here.
        SecretRef::Ha1Md5(_) | SecretRef::Ha1Sha256(_) | SecretRef::Plain(_) => Zeroizing::default(),
    };
    if password.is_empty() {
        return Err("it is empty".into());
    }
    Ok(password)
}

/// The first line of a file below `base`: rules that come over the socket can't point anywhere else.
fn from_file(path: &str, base: Option<&Path>) -> Result<Zeroizing<String>, String> {
    let base = base.ok_or_else(|| format!("file:{path} needs `[rules] base` in the configuration"))?;
    let inside = Path::new(path).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(format!("file:{path} leaves the rules' base directory"));
    }
    let file = base.join(path);
    let unreadable = |e: std::io::Error| format!("{}: {e}", file.display());
    let size = std::fs::metadata(&file).map_err(unreadable)?.len();
    if size > SECRET_BYTES_MAX {
        return Err(format!("{} has {size} bytes; a secret has at most {SECRET_BYTES_MAX}", file.display()));
    }
    let text = Zeroizing::new(std::fs::read_to_string(&file).map_err(unreadable)?);
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::model::At;

    fn auth(secret: SecretRef) -> Auth {
        Auth { user: "101a".into(), secret: At { value: secret, span: Default::default() } }
    }

    #[test]
    fn a_file_outside_of_the_base_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x"), "s\n").unwrap();
        for path in ["../x", "/etc/hostname", "a/../../x"] {
            let base = dir.path().join("rules");
            let why = one(&auth(SecretRef::File(path.into())), "d", Some(&base)).unwrap_err();
            assert!(why.contains("leaves the rules' base directory"), "{why}");
        }
        assert_eq!(*from_file("x", Some(dir.path())).unwrap(), "s");
    }

    #[test]
    fn a_missing_secret_says_which_and_never_what() {
        let why = one(&auth(SecretRef::Env("RINGTREE_TEST_NO_SUCH".into())), "d", None).unwrap_err();
        assert_eq!(why, "the environment has no RINGTREE_TEST_NO_SUCH");
        assert!(one(&auth(SecretRef::Plain(String::new())), "d", None).unwrap_err().contains("empty"));
        assert!(one(&auth(SecretRef::Masked), "d", None).is_err());
    }

    #[test]
    fn an_ha1_is_taken_for_its_algorithm_alone() {
        let given = one(&auth(SecretRef::Ha1Md5("ABCD".into())), "d", None).unwrap();
        assert_eq!(given, Ha1 { md5: Some("abcd".to_owned().into()), sha256: None });
    }
}
