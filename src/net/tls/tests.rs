//! The sets of certificates that are taken and refused; what sessions make of them is shown with real sockets, in `signalling`.

use super::*;

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

fn pair(name: &str) -> Pair {
    Pair { certificate: file(&format!("{name}.pem")), key: file(&format!("{name}.key")) }
}

fn refused(files: &Files) -> String {
    let whole = Tls::load(files).unwrap_err().to_string();
    whole.replace(&file("").display().to_string(), "")
}

#[test]
fn a_set_that_is_right_is_taken() {
    let by_name = [("Branch.Harbour.Example".to_owned(), pair("branch"))].into();
    let (client_ca, ca) = (Some(file("authority.pem")), Some(file("authority.pem")));
    let tls = Tls::load(&Files { own: Some(pair("office")), by_name, client_ca, ca }).unwrap();
    assert!(tls.serves());
}

#[test]
fn a_file_that_is_wrong_is_named_with_the_reason() {
    let own = |certificate: &str, key: &str| Files {
        own: Some(Pair { certificate: file(certificate), key: file(key) }),
        ..Files::default()
    };
    for (files, says) in [
        (own("nowhere.pem", "office.key"), "nowhere.pem can't be read: No such file"),
        (own("office.key", "office.key"), "office.key holds no certificate; a PEM file"),
        (own("office.pem", "office.pem"), "office.pem holds no private key; a PEM file"),
        (own("office.pem", "branch.key"), "branch.key is not the key of office.pem"),
        (
            Files { client_ca: Some(file("make")), ..own("office.pem", "office.key") },
            "make holds no certificate",
        ),
        (Files { ca: Some(file("nowhere.pem")), ..Files::default() }, "nowhere.pem can't be read"),
    ] {
        let said = refused(&files);
        assert!(said.contains(says), "{said}");
        assert_eq!(said.lines().count(), 1);
    }
    let by_name = [("elsewhere.example".to_owned(), pair("branch"))].into();
    let files = Files { own: Some(pair("office")), by_name, ..Files::default() };
    assert_eq!(refused(&files), "branch.pem is not for elsewhere.example");
}

#[test]
fn a_client_is_who_its_certificate_says_if_somebody_we_believe_has_signed_it() {
    let client_ca = Some(file("authority.pem"));
    let tls = Tls::load(&Files { own: Some(pair("office")), client_ca, ..Files::default() }).unwrap();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
    let names = |name: &str| {
        let names = tls.names_of(&certificates(&file(&format!("{name}.pem"))).unwrap(), now);
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names("carrier"), ["carrier.example"], "SIP URIs go before DNS names");
    assert_eq!(names("branch"), ["branch.harbour.example"]);
    assert!(names("stranger").is_empty());
    assert!(tls.names_of(&[], now).is_empty());
}
