use super::*;

fn bob() -> UserName {
    "bob".parse().unwrap()
}

#[track_caller]
fn means(line: &str, meaning: Typed) {
    assert_eq!(parse(line), Ok(meaning), "{line:?}");
}

#[track_caller]
fn says(line: &str, words: &str) {
    assert_eq!(parse(line).unwrap_err().to_string(), words, "{line:?}");
}

#[test]
fn plain_text_goes_to_the_current_recipient_as_it_stands() {
    for line in ["hello", "  two  spaces ", "a/b", "me@home", "1 > 0"] {
        means(line, Typed::Send { to: None, text: line.to_owned() });
    }
    for line in ["", "   ", "\r\n"] {
        means(line, Typed::Nothing);
    }
}

#[test]
fn an_addressed_text_goes_to_that_one_alone() {
    means("@bob hi  there", Typed::Send { to: Some(Recipient::User(bob())), text: "hi  there".into() });
    means("@ALL hi", Typed::Send { to: Some(Recipient::All), text: "hi".into() });
    means("@bob /who", Typed::Send { to: Some(Recipient::User(bob())), text: "/who".into() });
}

#[test]
fn an_address_that_is_none_sends_nothing() {
    says("@bob", "no text for bob. Nothing was sent. (To write to bob from now on: /to bob)");
    says(
        "@Bob hi",
        "\"Bob\" can't be a name: a name begins with a letter from a to z. Did you mean bob? Nothing was sent.",
    );
    says(
        "/msg Bob hi",
        "\"Bob\" can't be a name: a name begins with a letter from a to z. Did you mean bob? Nothing was sent.",
    );
    says("/to Bob", "\"Bob\" can't be a name: a name begins with a letter from a to z. Did you mean bob?");
    says("@ hi", "\"\" can't be a name: a name can't be empty. Nothing was sent.");
    says("@all hi", "\"all\" can't be a name: ALL means everybody and can't be a name. Nothing was sent.");
}

#[test]
fn an_unknown_command_is_never_sent() {
    says(
        "/passwrd",
        "no command /passwrd. Did you mean /passwd? Nothing was sent. (To send text that begins with /, type //)",
    );
    says("/zzzzzz", "no command /zzzzzz. Nothing was sent. (To send text that begins with /, type //)");
    says("/ who", "no command /. Nothing was sent. (To send text that begins with /, type //)");
    says(
        "/who\u{1b}",
        "no command /who^[. Did you mean /who? Nothing was sent. (To send text that begins with /, type //)",
    );
    assert!(matches!(parse("/usr/bin/topchat"), Err(TypedError::Unknown { .. })));
}

#[test]
fn two_slashes_send_text_that_begins_with_one() {
    means("//who", Typed::Send { to: None, text: "/who".into() });
    means("//", Typed::Send { to: None, text: "/".into() });
}

#[test]
fn commands_take_exactly_their_words() {
    means("/to bob", Typed::Switch(Recipient::User(bob())));
    means("/to ALL", Typed::Switch(Recipient::All));
    means("/who", Typed::Who);
    means("/fingerprint", Typed::Fingerprint(None));
    means("/fingerprint bob", Typed::Fingerprint(Some(bob())));
    means("/trust bob 77aa 0e51", Typed::Trust { name: bob(), fingerprint: Some("77aa0e51".into()) });
    means("/trust bob", Typed::Trust { name: bob(), fingerprint: None });
    means("/verify bob", Typed::Verify(bob()));
    means("/untrust bob", Typed::Untrust(bob()));
    means("/accept bob", Typed::Accept(bob()));
    means("/quit", Typed::Quit);
    means("/msg bob  two  words", Typed::Send { to: Some(Recipient::User(bob())), text: "two  words".into() });
    means("/r fine", Typed::Answer("fine".into()));
    means("/block @bob", Typed::Block(bob()));
    means("/unblock bob", Typed::Unblock(bob()));
    means("/blocked", Typed::Blocked);
    means("/keys", Typed::Keys);
    means("/bell all", Typed::Ring(Bell::All));
    means("/bell", Typed::Bell);
    means("/help", Typed::Help(None));
    means("/help /trust", Typed::Help(Some("trust")));
    says("/to", "use it as: /to NAME|ALL   for example: /to bob");
    says("/who bob", "use it as: /who   for example: /who");
    says("/trust", "use it as: /trust NAME [FINGERPRINT]   for example: /trust bob 77aa 0e51 93c2 4b1d");
    says("/verify", "use it as: /verify NAME   for example: /verify bob");
    says("/verify bob now", "use it as: /verify NAME   for example: /verify bob");
    says("/untrust", "use it as: /untrust NAME   for example: /untrust bob");
    says("/msg bob", "use it as: /msg NAME TEXT   for example: /msg bob are you there?");
    says("/r", "use it as: /r TEXT   for example: /r yes, one o'clock");
    says("/bell loud", "use it as: /bell [off|direct|all]   for example: /bell off");
    says("/help trus", "no command /trus. Did you mean /trust? All of them: /help");
}

#[test]
fn a_text_over_the_limit_is_refused_whole() {
    let most = "x".repeat(TEXT_MAX);
    means(&most, Typed::Send { to: None, text: most.clone() });
    says(&format!("{most}x"), "that text has 4097 bytes, at most 4096 can be sent. Nothing was sent.");
    assert!(parse(&format!("@bob {most}")).is_ok());
}

#[test]
fn help_names_every_command() {
    let help = help();
    for command in commands::all() {
        assert!(help.contains(&command.usage()), "{}", command.name);
    }
}

#[test]
fn an_open_text_says_what_enter_would_do_with_it() {
    for (line, expected) in [
        ("one", None),
        ("one\ntwo", Some("2 lines; Enter sends them to ALL")),
        ("one\n", Some("2 lines; Enter sends them to ALL")),
        ("@bob one\ntwo\nthree", Some("3 lines; Enter sends them to bob")),
        ("/who\ntwo", Some("2 lines")),
        ("@Bob\ntwo", Some("2 lines")),
        (&"x".repeat(TEXT_MAX), None),
        (&"x".repeat(TEXT_MAX + 1), Some("4097 bytes: at most 4096 can be sent")),
        (&"xy\n".repeat(2000), Some("2001 lines, 5999 bytes: at most 4096 can be sent")),
    ] {
        assert_eq!(lines_hint(line, "ALL").as_deref(), expected, "{line:?}");
    }
}

#[test]
fn a_long_paste_and_a_command_within_a_text_are_asked_about() {
    let six = "x\n".repeat(6);
    let begins = |what: &str, count| {
        Some(format!("line 2 begins with {what}, which is text here. Send all {count} lines? (y)es or (n)o "))
    };
    for (line, pasted, expected) in [
        ("one\ntwo", Pasted::Whole, None),
        (six.as_str(), Pasted::Nothing, None),
        (six.as_str(), Pasted::Whole, Some("send these 6 lines as one message? (y)es or (n)o ".to_owned())),
        ("/who", Pasted::Nothing, None),
        (
            "one",
            Pasted::Broken,
            Some("the end of that paste did not come. Send what there is of it? (y)es or (n)o ".into()),
        ),
        ("@bob one\ntwo", Pasted::Nothing, None),
        ("one\n/who", Pasted::Nothing, begins("/who", 2)),
        ("one\n@bob x\nthree", Pasted::Whole, begins("@bob", 3)),
        ("one\n/quit\n@bob x\nlast", Pasted::Whole, begins("/quit", 4)),
        (&"x\n/who\n".repeat(1000), Pasted::Whole, None),
        ("one\n/\u{1b}[2Jxxxxxxxxxxxxxxxxxxxxxxxxx", Pasted::Whole, begins("/^[[2Jxxxxxxxxxxxxxxx", 2)),
    ] {
        assert_eq!(slip(line, pasted), expected, "{line:?}");
    }
}
